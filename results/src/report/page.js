"use strict";
(() => {
  const root = document.documentElement;

  // The theme: what the address asks for, else what was chosen last, else the system's.
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("delalloc-theme", value);
      return localStorage.getItem("delalloc-theme");
    } catch {
      return null; // a page opened from disk may have no storage
    }
  };
  const asked = new URLSearchParams(location.hash.slice(1)).get("theme") ?? stored();
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;
  document.getElementById("theme").addEventListener("click", () => {
    const shown = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = shown === "dark" ? "light" : "dark";
    stored(root.dataset.theme);
  });

  // Tables sort by a click on a head: numbers by value, words as people order them.
  const words = new Intl.Collator(undefined, { numeric: true });
  const key = (row, column) => {
    const field = row.cells[column];
    return field.dataset.sort === undefined ? null : Number(field.dataset.sort);
  };
  const compare = (column) => (a, b) => {
    const [left, right] = [key(a, column), key(b, column)];
    if (left !== null && right !== null) return left - right;
    if (left !== null || right !== null) return left === null ? 1 : -1;
    return words.compare(a.cells[column].textContent, b.cells[column].textContent);
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].sort(compare(column));
        if (down) rows.reverse();
        table.tBodies[0].append(...rows);
      });
    });
  }

  // Embedded data as files.
  for (const button of document.querySelectorAll("button[data-download]")) {
    button.addEventListener("click", () => {
      const name = button.dataset.download;
      const holder = document.querySelector(`script[data-blob="${name}"]`);
      const blob = new Blob([JSON.parse(holder.textContent)], { type: button.dataset.mime });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  root.dataset.ready = "yes";
})();
