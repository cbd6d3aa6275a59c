// Everything here makes pages quicker to use: copy buttons, filters, local times, keyboard
// shortcuts. Every page works without this file.
document.querySelector("form[data-submit]")?.submit();
document.querySelector("[data-focus]")?.focus();
for (const fold of document.querySelectorAll("details.fold")) {
  fold.open = !matchMedia("(max-width: 52rem)").matches;
}

// Unsaved changes: the browser asks before it leaves, and the save bar counts them. A form that
// the server shows again with faults starts as changed (data-unsaved="changed").
for (const form of document.querySelectorAll("form[data-unsaved]")) {
  const changed = (f) => (f.type === "checkbox" || f.type === "radio" ? f.checked !== f.defaultChecked
    : f.options ? [...f.options].some((o) => o.selected !== o.defaultSelected) && f.selectedIndex > 0 : f.value !== f.defaultValue);
  const status = form.querySelector("[data-changes]");
  let dirty = form.dataset.unsaved === "changed";
  form.addEventListener("input", () => {
    dirty = true;
    const n = [...form.elements].filter((f) => f.name && f.type !== "hidden" && f.tagName !== "BUTTON" && changed(f)).length;
    if (status) status.textContent = n === 0 ? "" : `${n} unsaved ${n === 1 ? "change" : "changes"}`;
  });
  form.addEventListener("submit", () => { dirty = false; });
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
}

// Times: relative within a day, then the reader's local time. UTC is in the title.
const lang = document.documentElement.lang || "en";
const reader = navigator.language.startsWith(lang) ? navigator.language : { en: "en-GB" }[lang] ?? lang;
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
const local = (date, options) => new Intl.DateTimeFormat(reader, options).format(date);
const clock = { hour: "2-digit", minute: "2-digit" };
const dayAndMonth = { day: "numeric", month: "short" };
const showTime = (element) => {
  const date = new Date(element.dateTime);
  const seconds = Math.round((date - Date.now()) / 1000);
  const far = Math.abs(seconds);
  element.title = `${local(date, { dateStyle: "medium", timeStyle: "long" })} (${element.dataset.utc})`;
  if (element.dataset.show === "clock") return local(date, clock);
  if (element.dataset.show === "date") return local(date, { ...dayAndMonth, year: "numeric" });
  if (element.dataset.show !== "exact") {
    if (far < 45) return relative.format(0, "second");
    if (far < 3570) return relative.format(Math.round(seconds / 60), "minute");
    if (far < 86400) return relative.format(Math.round(seconds / 3600), "hour");
  }
  return local(date, { ...dayAndMonth, ...clock, ...(date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" }) });
};
const showTimes = () => {
  for (const element of document.querySelectorAll("time[datetime*=T]")) {
    element.dataset.utc ??= element.title || element.textContent;
    element.textContent = showTime(element);
  }
};
showTimes();
setInterval(showTimes, 30000);

// The account menu, toasts and shortcuts.
const menus = document.querySelectorAll("details[data-menu]");
const closeOthers = (target) => { for (const menu of menus) if (!menu.contains(target)) menu.open = false; };
addEventListener("click", (event) => { closeOthers(event.target); });
addEventListener("focusin", (event) => { if (!event.target.closest("dialog")) closeOthers(event.target); });
for (const toast of document.querySelectorAll(".toast")) {
  setTimeout(() => { if (!toast.contains(document.activeElement)) toast.remove(); }, toast.querySelector("button") ? 20000 : 10000);
}
const shortcuts = document.getElementById("shortcuts");
const offKey = "fairlead-shortcuts-off";
for (const button of document.querySelectorAll("[data-shortcuts]")) {
  button.hidden = false;
  button.addEventListener("click", () => { shortcuts.showModal(); });
}
const single = shortcuts?.querySelector("[name=single]");
if (single) {
  single.checked = !localStorage.getItem(offKey);
  single.addEventListener("change", () => { if (single.checked) localStorage.removeItem(offKey); else localStorage.setItem(offKey, "yes"); });
}
const rowLinks = () => [...document.querySelectorAll("main a.row-link, main a.cluster-name")].filter((a) => a.checkVisibility());
const moveInList = (by) => {
  const links = rowLinks();
  const at = links.indexOf(document.activeElement);
  if (at === 0 && by < 0) document.querySelector("main input[type=search]")?.focus();
  else links[at < 0 ? 0 : Math.min(at + by, links.length - 1)]?.focus();
};
addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const field = target.closest?.("input, textarea, select");
  if (key === "Escape") {
    const open = [...menus].find((menu) => menu.open);
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (field?.type === "search") {
      if (!field.value) field.blur(); // the browser itself clears a field that has text
    } else if (!field) {
      document.querySelector("a[data-cancel]")?.click();
    }
  } else if ((key === "ArrowDown" && field?.type === "search") || (/^Arrow(Down|Up)$/.test(key) && rowLinks().includes(target))) {
    event.preventDefault();
    moveInList(key === "ArrowDown" ? 1 : -1);
  } else if (!field && shortcuts && !localStorage.getItem(offKey)) {
    const search = document.querySelector("[data-slash]") ?? document.querySelector("main input[type=search]");
    if (key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (key === "?") {
      event.preventDefault();
      shortcuts.showModal();
    }
  }
});

const words = document.body.dataset; // what this file says, in the page's language
const passkeys = globalThis.PublicKeyCredential;
for (const form of passkeys?.parseCreationOptionsFromJSON ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  document.querySelector("[data-no-passkey]")?.remove();
  const options = JSON.parse(form.dataset.passkey);
  const suggestion = new AbortController();
  const send = (answer) => {
    form.elements.response.value = JSON.stringify(answer.toJSON());
    form.submit();
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    suggestion.abort(); // a browser asks for one passkey at a time
    try {
      send(form.hasAttribute("data-make")
        ? await navigator.credentials.create({ publicKey: passkeys.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: passkeys.parseRequestOptionsFromJSON(options) }));
    } catch {
      form.querySelector("[role=status]").textContent = words.failed;
    }
  });
  if (!form.hasAttribute("data-conditional")) continue;
  // The browser suggests passkeys in the field for the user name.
  passkeys.isConditionalMediationAvailable?.().then((available) => available && navigator.credentials
    .get({ publicKey: passkeys.parseRequestOptionsFromJSON(options), mediation: "conditional", signal: suggestion.signal })
    .then(send)).catch(() => {}); // the user chose another way
}
for (const button of document.querySelectorAll("[data-copy]")) {
  const text = button.dataset.copy || button.parentElement.querySelector("code").textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = words.copied;
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}
for (const input of document.querySelectorAll("[data-filter]")) {
  const rows = [...document.querySelectorAll(input.dataset.filter)];
  const status = document.getElementById("filter-status");
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    status.textContent = (input.dataset.shown ?? words.shown).replace("{n}", shown).replace("{all}", rows.length);
  });
}
for (const player of document.querySelectorAll("[data-replay]")) {
  const screen = player.querySelector(".screen");
  const button = player.querySelector("[data-play]");
  const seek = player.querySelector("input[name=at]");
  if (!screen) continue;
  button.hidden = false;
  player.querySelector("[data-go]").hidden = true;
  const speed = player.querySelector("[data-speed]");
  speed.hidden = false;
  const position = (s) => `${s >= 3600 ? `${Math.floor(s / 3600)}:` : ""}${String(Math.floor(s / 60) % 60).padStart(s >= 3600 ? 2 : 1, "0")}:${String(Math.floor(s) % 60).padStart(2, "0")}`;
  const paint = (frame) => {
    while (screen.children.length > frame.height) screen.lastElementChild.remove();
    while (screen.children.length < frame.height) screen.append(document.createElement("span"));
    for (const [y, pieces] of Object.entries(frame.rows)) {
      screen.children[y].replaceChildren(...pieces.map(([text, look]) => {
        const piece = document.createElement("span");
        piece.className = look;
        piece.textContent = text;
        return piece;
      }), "\n");
    }
    seek.value = frame.at;
    player.querySelector("[data-now]").textContent = position(frame.at);
  };
  let playing = 0;
  const play = async (turn) => {
    const longest = 1500;
    let at = Number(seek.value) >= Number(seek.max) ? 0 : Number(seek.value);
    for (let more = true; more;) {
      const response = await fetch(`${player.dataset.replay}?at=${at}`);
      if (!response.ok) throw new Error(response.statusText);
      const { screens, end } = await response.json();
      for (const frame of screens) {
        await new Promise((done) => { setTimeout(done, Math.min(Math.max(frame.at - at, 0) * 1000, longest) / Number(speed.value)); });
        if (turn !== playing) return;
        paint(frame);
        at = frame.at;
      }
      more = screens.length > 1 && at < end;
    }
    stop();
  };
  const stop = () => { playing += 1; button.textContent = "Play"; button.dataset.on = ""; };
  const jump = async (at) => {
    const again = button.dataset.on;
    stop();
    const response = await fetch(`${player.dataset.replay}?at=${at}`);
    if (!response.ok) throw new Error(response.statusText);
    paint({ ...(await response.json()).screens[0], at });
    if (again) button.click();
  };
  seek.addEventListener("input", () => { player.querySelector("[data-now]").textContent = position(Number(seek.value)); });
  seek.addEventListener("change", () => { jump(Number(seek.value)).catch(() => seek.form.submit()); });
  for (const moment of document.querySelectorAll("[data-moment]")) {
    moment.addEventListener("click", (event) => {
      event.preventDefault();
      jump(Number(new URL(moment.href).searchParams.get("at"))).then(() => screen.scrollIntoView({ block: "nearest" }), () => { location.href = moment.href; });
    });
  }
  button.addEventListener("click", () => {
    if (button.dataset.on) { stop(); return; }
    button.textContent = "Pause";
    button.dataset.on = "yes";
    playing += 1;
    play(playing).catch(() => { stop(); button.textContent = "Play (the server did not answer)"; });
  });
}

// The audit log's live view: the list is asked for again every five seconds while the page is seen.
for (const log of document.querySelectorAll("[data-live]")) {
  document.querySelector("[data-live-note]")?.removeAttribute("hidden");
  let last = "";
  setInterval(() => {
    if (document.hidden || log.querySelector("details[open]")) return;
    // An XMLHttpRequest parses HTML itself. DOMParser may not: the policy requires trusted types.
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", location.href);
    request.onload = () => {
      const fresh = request.status === 200 && request.responseURL === location.href && request.response?.querySelector("[data-live]");
      if (!fresh || fresh.textContent === last) return;
      last = fresh.textContent;
      log.replaceChildren(...fresh.childNodes);
      showTimes();
    };
    request.send();
  }, 5000);
}

// Admin lists: select all rows of a page, and count the selected ones.
for (const all of document.querySelectorAll("[data-all]")) {
  const boxes = [...all.closest("table").querySelectorAll("td.pick input")];
  const status = document.querySelector("[data-selected]");
  const count = () => {
    const n = boxes.filter((box) => box.checked).length;
    all.checked = n > 0 && n === boxes.length;
    all.indeterminate = n > 0 && n < boxes.length;
    if (status) status.textContent = `${n} selected:`;
  };
  all.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; count(); });
  for (const box of boxes) box.addEventListener("change", count);
  count();
}

// Access map: the paths through the node under the pointer, or in focus, stand out.
for (const flow of document.querySelectorAll(".flow")) {
  const edges = [...flow.querySelectorAll("[data-edge]")].map((path) => [path, ...path.dataset.edge.split(" ")]);
  const light = (target) => {
    const lit = new Set();
    const follow = (number, from, to) => {
      lit.add(number);
      for (const edge of edges) {
        if (edge[from] === number) { lit.add(edge[0]); follow(edge[to], from, to); }
      }
    };
    const node = target?.closest("[data-node]");
    const edge = edges.find(([path]) => path === target);
    const starts = node ? [node.dataset.node, node.dataset.node] : edge ? [edge[1], edge[2]] : [];
    if (edge) lit.add(edge[0]);
    starts.forEach((number, i) => (edge ? follow(number, i ? 1 : 2, i ? 2 : 1) : follow(number, i ? 2 : 1, i ? 1 : 2)));
    flow.toggleAttribute("data-lit", starts.length > 0);
    for (const part of flow.querySelectorAll("[data-node], [data-edge]")) part.classList.toggle("lit", lit.has(part.dataset.node ?? part));
  };
  for (const type of ["pointerover", "focusin"]) flow.addEventListener(type, (event) => { light(event.target); });
  for (const type of ["pointerleave", "focusout"]) flow.addEventListener(type, () => { light(); });
}
