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
  // What is missing comes last either way.
  const compare = (column, sign) => (a, b) => {
    const [left, right] = [key(a, column), key(b, column)];
    if (left !== null && right !== null) return sign * (left - right);
    if (left !== null || right !== null) return left === null ? 1 : -1;
    return sign * words.compare(a.cells[column].textContent, b.cells[column].textContent);
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    const name = table.caption.textContent;
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].sort(compare(column, down ? -1 : 1));
        table.tBodies[0].append(...rows);
      });
    });
    filter(table, name);
  }

  // Long tables get a box: a row stays if it holds every word.
  function filter(table, name) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 12) return;
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("span");
    label.className = "filter";
    input.type = "search";
    input.placeholder = "filter";
    input.setAttribute("aria-label", `filter ${name}`);
    count.setAttribute("role", "status");
    label.append(input, count);
    table.before(label);
    const texts = new Map(rows.map((row) => [row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase()]));
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !wanted.every((word) => texts.get(row).includes(word));
        if (!row.hidden) shown += 1;
      }
      count.textContent = wanted.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  // Embedded data as files: base64 of gzip, unpacked here.
  const unpacked = async (name) => {
    const holder = [...document.querySelectorAll("script[data-blob]")].find((one) => one.dataset.blob === name);
    const bytes = Uint8Array.from(atob(holder.textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).blob();
  };
  for (const button of document.querySelectorAll("button[data-download]")) {
    button.addEventListener("click", async () => {
      const name = button.dataset.download;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([await unpacked(name)], { type: button.dataset.mime }));
      link.download = name;
      link.click();
      root.dataset.downloaded = name;
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  // Paper has no folded parts.
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details:not([open])")) {
      folded.open = true;
      folded.dataset.unfolded = "yes";
    }
  });
  addEventListener("afterprint", () => {
    for (const unfolded of document.querySelectorAll("details[data-unfolded]")) {
      unfolded.open = false;
      delete unfolded.dataset.unfolded;
    }
  });

  root.dataset.ready = "yes";
})();
