/** Text for a page: what people and machines are called may hold anything. */

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** A table; its first column names the row, and the others are numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const headCells = head.map((text) => `<th scope="col">${escaped(text)}</th>`).join('');
  const bodyRows = rows.map(([name = '', ...values]) => {
    const cells = values.map((value) => `<td>${escaped(value)}</td>`).join('');
    return `<tr><th scope="row">${escaped(name)}</th>${cells}</tr>`;
  });
  return `<div class="table" tabindex="0"><table><thead><tr>${headCells}</tr></thead><tbody>${bodyRows.join('\n')}</tbody></table></div>`;
}
