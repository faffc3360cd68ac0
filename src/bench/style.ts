/** How a bench's page looks: light, dark as the reader's system is, and on paper. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #16202c; --soft: #5a6675; --rule: #dde2e8;
  --accent: #b3261e; --accent-soft: #fdeceb;
  --put: #2166c4; --get: #c2660a; --cipher: #8a94a3;
  --stage-disk: #0f8a7e; --stage-cipher: #7a4fc0; --stage-checksum: #c04a86; --stage-ledger: #b07900;
  --stage-network: #2166c4; --stage-kms: #68788c; --inside: #ffffff;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0f141a; --card: #182029; --ink: #e8edf3; --soft: #9aa7b6; --rule: #2b3743;
    --accent: #ff8a80; --accent-soft: #3a2224;
    --put: #6aa9f7; --get: #f2a65a; --cipher: #8b98a9;
    --stage-disk: #4cc2b4; --stage-cipher: #b497ee; --stage-checksum: #ee93bf; --stage-ledger: #e5b94e;
    --stage-network: #6aa9f7; --stage-kms: #9fb0c3; --inside: #10161d;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: clamp(26px, 4.6vw, 40px); line-height: 1.15; letter-spacing: -0.02em; margin: 4px 0 8px; text-wrap: balance; }
h2 { font-size: 17px; line-height: 1.3; margin: 0; }
.eyebrow { margin: 0; color: var(--soft); font-size: 14px; font-weight: 600; }
.why { margin: 0; font-size: 18px; max-width: 62ch; }
.facts { color: var(--soft); font-size: 14px; margin: 12px 0 0; overflow-wrap: anywhere; }
.flags { margin: 16px 0 0; }
.flags > span { color: var(--soft); font-size: 14px; margin-right: 6px; }
.flags code span { white-space: nowrap; }
code { background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 4px 8px; font: 14px ui-monospace, monospace; overflow-wrap: anywhere; box-decoration-break: clone; }
.tiles { list-style: none; display: grid; grid-template-columns: repeat(auto-fit, minmax(144px, 1fr)); gap: 10px; margin: 28px 0 10px; padding: 0; }
.tiles li { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 10px 12px; display: flex; flex-direction: column; }
.tiles .limits { border-color: var(--accent); background: var(--accent-soft); }
.tiles b { font-size: 18px; line-height: 1.4; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { font-size: 13px; color: var(--soft); display: flex; justify-content: space-between; gap: 6px; }
.note { font-size: 12px; line-height: 1.35; color: var(--soft); }
.mark { color: var(--accent); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 10px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 16px; display: flex; flex-direction: column; justify-content: space-between; gap: 14px; break-inside: avoid; }
figcaption p { margin: 4px 0 0; color: var(--soft); font-size: 14px; }
svg { display: block; width: 100%; max-width: 560px; height: auto; font: 12.5px system-ui, sans-serif; }
svg text { fill: var(--ink); }
svg .unit { fill: var(--soft); }
svg .value { font-weight: 600; font-size: 11.5px; }
svg .inside { fill: var(--inside); font-weight: 600; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 260px), 1fr)); gap: 28px 32px; margin-top: 36px; }
.numbers section:first-child { grid-column: 1 / -1; }
.table { overflow-x: auto; margin-top: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--rule); font-weight: 400; white-space: nowrap; }
thead th { color: var(--soft); font-size: 13px; }
th:first-child { text-align: left; padding-left: 0; }
@media screen and (max-width: 480px) {
  main { padding: 24px 12px 48px; }
  .tiles { grid-template-columns: 1fr 1fr; }
  figure { padding: 14px 12px; }
  svg { font-size: 14.5px; }
}
@media print {
  :root { color-scheme: light; }
  body { background: #ffffff; font-size: 12px; }
  main { max-width: none; padding: 0; }
  .tiles { grid-template-columns: repeat(3, 1fr); }
  .charts { grid-template-columns: 1fr 1fr; }
  .table { overflow: visible; }
  * { print-color-adjust: exact; }
}
`;
