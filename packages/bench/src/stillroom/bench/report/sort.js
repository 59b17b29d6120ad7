// Leaderboards can be sorted by a click on a column. The page needs it for nothing: without it, the best model is first.
for (const table of document.querySelectorAll("table.board")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const said = ({cells}, column) => (column === 1 ? cells[1] : cells[column].firstChild)?.textContent ?? "";
  const compare = (a, b) => {
    const [x, y] = [parseFloat(a), parseFloat(b)];
    return isNaN(x) && isNaN(y) ? a.localeCompare(b) : isNaN(x) - isNaN(y) || x - y;
  };
  for (const [column, head] of heads.entries()) {
    if (column === 0 || head.className === "drawn") continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const direction = head.ariaSort === "ascending" ? "descending" : "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.ariaSort = direction;
      const sign = direction === "ascending" ? 1 : -1;
      body.append(...[...body.rows].sort((a, b) => sign * compare(said(a, column), said(b, column))));
    });
  }
}
