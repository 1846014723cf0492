// What may I open, by a few letters?  Ctrl+K or “/” opens it; without this script the link leads to the search page.
// Names are fetched once, when it opens first; what is typed leaves the page only with Enter on “Search everything”.
"use strict";
{
  const MOST_SHOWN = 12;
  const dialog = document.getElementById("palette");
  const link = document.getElementById("palette-open");
  const form = dialog.querySelector("form");
  const input = document.getElementById("palette-text");
  const list = document.getElementById("palette-list");
  const told = document.getElementById("palette-told");
  const pages = [...document.querySelectorAll("header nav a")].map((at) => ({
    kind: "page",
    title: at.firstChild.textContent.trim(),
    url: at.getAttribute("href"),
    summary: "",
    also: "",
    is_first: true,
  }));
  let things = null;
  let shown = [];
  let chosen = 0;

  const words = () => input.value.toLowerCase().split(/\s+/).filter(Boolean);

  // How well a thing fits; lower is better, null does not fit.
  function place(thing, wanted) {
    if (!wanted.length) return thing.is_first ? 0 : null;
    const title = thing.title.toLowerCase();
    const all = `${title} ${thing.summary} ${thing.also} ${thing.kind}`.toLowerCase();
    if (!wanted.every((word) => all.includes(word))) return null;
    if (title.startsWith(wanted.join(" "))) return 0;
    return wanted.every((word) => title.includes(word)) ? 1 : 2;
  }

  function element(name, text, kind) {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function draw() {
    const wanted = words();
    shown = [...(things ?? []), ...pages]
      .map((thing) => ({ thing, place: place(thing, wanted) }))
      .filter((one) => one.place !== null)
      .sort((one, other) => one.place - other.place)
      .slice(0, MOST_SHOWN)
      .map((one) => one.thing);
    if (wanted.length) shown.push({ kind: "search", title: `Search everything for “${input.value.trim()}”`, summary: "records too" });
    chosen = Math.min(chosen, Math.max(0, shown.length - 1));
    list.replaceChildren(
      ...shown.map((thing, number) => {
        const option = document.createElement("li");
        option.id = `palette-${number}`;
        option.setAttribute("role", "option");
        option.append(element("strong", thing.title), element("span", [thing.kind, thing.summary].filter(Boolean).join(" · "), "quiet"));
        option.addEventListener("click", () => go(thing));
        return option;
      }),
    );
    mark();
  }

  function mark() {
    [...list.children].forEach((option, number) => option.setAttribute("aria-selected", String(number === chosen)));
    if (shown.length) input.setAttribute("aria-activedescendant", `palette-${chosen}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  function go(thing) {
    if (thing.url) location.assign(thing.url);
    else form.submit();
  }

  async function load() {
    told.textContent = "Loading…";
    try {
      const answer = await fetch(form.dataset.things, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      things = (await answer.json()).things;
      told.textContent = "";
    } catch {
      told.textContent = "The names could not be loaded. Enter searches everything.";
    }
    draw();
  }

  function open() {
    if (dialog.open) return;
    input.value = "";
    chosen = 0;
    dialog.showModal();
    draw();
    if (things === null) load();
  }

  function close() {
    dialog.close();
    // Else the field, though it is hidden, takes the next key.
    input.blur();
  }

  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    open();
  });
  link.querySelector("kbd").hidden = false;
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, textarea, select, [contenteditable]");
    const isAsked = (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !isTyping);
    if (!isAsked || event.altKey) return;
    event.preventDefault();
    open();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) close();
  });
  input.addEventListener("input", () => {
    chosen = 0;
    draw();
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) {
      event.preventDefault();
      chosen = (chosen + step + shown.length) % shown.length;
      mark();
    } else if (event.key === "Escape") {
      // A search field would only become empty.
      event.preventDefault();
      close();
    } else if (event.key === "Enter" && shown.length) {
      event.preventDefault();
      go(shown[chosen]);
    }
  });
}
