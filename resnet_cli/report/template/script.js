"use strict";
(() => {
  const root = document.documentElement;
  const stored = {
    get() { try { return localStorage.getItem("resnet-exp-theme"); } catch { return null; } },
    set(theme) { try { localStorage.setItem("resnet-exp-theme", theme); } catch { /* it lasts as long as the page */ } },
  };
  const system = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const theme = stored.get();
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  root.classList.add("has-js");

  function prepareTheme() {
    const button = document.getElementById("theme");
    const current = () => root.dataset.theme || system();
    const say = () => { button.textContent = current() === "dark" ? "Light colours" : "Dark colours"; };
    button.addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      stored.set(root.dataset.theme);
      say();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", say);
    say();
  }

  function prepareTable() {
    const table = document.getElementById("run-table");
    const body = table.tBodies[0];
    const headers = [...table.tHead.rows[0].cells];
    const rows = [...body.rows];
    const text = rows.map((row) => row.textContent.toLowerCase());
    const value = (row, column) => {
      const cell = row.cells[column];
      const shown = cell.dataset.n || cell.textContent;
      if (!headers[column].classList.contains("number")) return shown;
      if (shown === "–") return NaN;
      return shown === "∞" ? Infinity : Number(shown.replaceAll(",", ""));
    };
    const compare = (a, b) => {
      if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
      return a === b ? 0 : a - b;
    };
    headers.forEach((header, column) => header.querySelector("button").addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") === "ascending";
      headers.forEach((other) => other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...body.rows].map((row) => [value(row, column), row]);
      keyed.sort(([a], [b]) => Number.isNaN(a) || Number.isNaN(b)
        ? Number.isNaN(a) - Number.isNaN(b)  // what has no value comes last
        : (down ? compare(b, a) : compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    }));

    const search = document.getElementById("search");
    const choices = [...document.querySelectorAll("[data-column]")];
    const count = document.getElementById("count");
    const shownRows = () => [...body.rows].filter((row) => !row.hidden);
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, place) => {
        row.hidden = !(words.every((word) => text[place].includes(word)) && choices.every(
          (choice) => !choice.value || row.cells[choice.dataset.column].textContent === choice.value));
        shown += !row.hidden;
      });
      count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs`;
    };
    search.addEventListener("input", filter);
    choices.forEach((choice) => choice.addEventListener("change", filter));
    document.getElementById("clear").addEventListener("click", () => {
      [search, ...choices].forEach((field) => { field.value = ""; });
      filter();
      search.focus();
    });
    document.getElementById("save").addEventListener("click", () => {
      const quote = (word) => (/[",\n]/.test(word) ? `"${word.replaceAll('"', '""')}"` : word);
      const lines = [headers.map((header) => header.textContent.trim()), ...shownRows().map(
        (row) => [...row.cells].map((cell) => (cell.dataset.n || cell.textContent).replace(/^–$/, "")))];
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([lines.map((line) => `${line.map(quote).join(",")}\n`).join("")], { type: "text/csv" }));
      link.download = "runs.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    filter();
  }

  document.addEventListener("DOMContentLoaded", () => { prepareTheme(); prepareTable(); });
})();
