// Copy buttons, the filter box and the form that goes on by itself. Every page
// works without this file.
document.querySelector("form[data-submit]")?.submit();
document.querySelector("[data-focus]")?.focus();
for (const fold of document.querySelectorAll("details.fold")) {
  fold.open = !matchMedia("(max-width: 52rem)").matches;
}
for (const form of document.querySelectorAll("form[data-unsaved]")) {
  let changed = false;
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}
const words = document.body.dataset; // what this file says, in the page's language
const passkeys = globalThis.PublicKeyCredential;
for (const form of passkeys?.parseCreationOptionsFromJSON ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  document.querySelector("[data-no-passkey]")?.remove();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const options = JSON.parse(form.dataset.passkey);
    try {
      const answer = form.hasAttribute("data-make")
        ? await navigator.credentials.create({ publicKey: passkeys.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: passkeys.parseRequestOptionsFromJSON(options) });
      form.elements.response.value = JSON.stringify(answer.toJSON());
      form.submit();
    } catch {
      form.querySelector("[role=status]").textContent = words.failed;
    }
  });
}
for (const button of document.querySelectorAll("[data-copy]")) {
  const text = button.parentElement.querySelector("code").textContent;
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
    status.textContent = words.shown.replace("{n}", shown).replace("{all}", rows.length);
  });
}
for (const player of document.querySelectorAll("[data-replay]")) {
  const screen = player.querySelector(".screen");
  const button = player.querySelector("[data-play]");
  const seek = player.querySelector("input[name=at]");
  if (!screen) continue;
  button.hidden = false;
  player.querySelector("[data-go]").hidden = true;
  seek.addEventListener("change", () => seek.form.submit());
  const clock = (s) => `${s >= 3600 ? `${Math.floor(s / 3600)}:` : ""}${String(Math.floor(s / 60) % 60).padStart(s >= 3600 ? 2 : 1, "0")}:${String(Math.floor(s) % 60).padStart(2, "0")}`;
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
    player.querySelector("[data-now]").textContent = clock(frame.at);
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
        await new Promise((done) => { setTimeout(done, Math.min(Math.max(frame.at - at, 0) * 1000, longest)); });
        if (turn !== playing) return;
        paint(frame);
        at = frame.at;
      }
      more = screens.length > 1 && at < end;
    }
    stop();
  };
  const stop = () => { playing += 1; button.textContent = "Play"; button.dataset.on = ""; };
  button.addEventListener("click", () => {
    if (button.dataset.on) { stop(); return; }
    button.textContent = "Pause";
    button.dataset.on = "yes";
    playing += 1;
    play(playing).catch(() => { stop(); button.textContent = "Play (the server did not answer)"; });
  });
}
