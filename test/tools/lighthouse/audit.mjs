// Audits pages in a browser that already runs and is signed in. Usage: audit.mjs PORT URL...
// It prints one line of JSON for each page: the address, the scores, and the first paint in
// milliseconds on a simulated slow phone.
import lighthouse from "lighthouse";

const [port, ...addresses] = process.argv.slice(2);
for (const address of addresses) {
  const result = await lighthouse(address, {
    port: Number(port), output: "json", logLevel: "silent", disableStorageReset: true,
    ignoreStatusCode: true, // error pages are audited too
    skipAudits: ["is-on-https", "redirects-http", "is-crawlable", "http-status-code"], // the tests use http, and the pages are private
    onlyCategories: ["performance", "accessibility", "best-practices", "seo"],
  });
  const scores = Object.fromEntries(Object.entries(result.lhr.categories).map(([name, category]) => [name, Math.round(category.score * 100)]));
  const failed = Object.values(result.lhr.audits).filter((audit) => audit.score !== null && audit.score < 0.9 && audit.scoreDisplayMode !== "informative").map((audit) => audit.id);
  console.log(JSON.stringify({ address, scores, firstPaint: Math.round(result.lhr.audits["first-contentful-paint"].numericValue), failed }));
}
