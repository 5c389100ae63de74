/** How the page looks: two schemes of colours, of which the reader's system chooses one. No font, no picture is loaded. */

const hues = [212, 28, 152, 282, 350, 184, 52, 250, 100, 318, 12, 130];

const kernelColours = hues
  .map(
    (h, i) =>
      `.k${i}{--fill:light-dark(hsl(${h} 62% 95%),hsl(${h} 26% 19%));--edge:light-dark(hsl(${h} 36% 66%),hsl(${h} 28% 42%));--ink:light-dark(hsl(${h} 55% 30%),hsl(${h} 55% 80%));--solid:light-dark(hsl(${h} 48% 50%),hsl(${h} 42% 56%))}`,
  )
  .join("\n");

export const style = `
:root{color-scheme:light dark;
--page:light-dark(#fbfbfa,#141517);--card:light-dark(#fff,#1b1d20);--sunk:light-dark(#f4f4f2,#101113);
--text:light-dark(#1d1f23,#e4e5e7);--muted:light-dark(#696d75,#969ba4);--line:light-dark(#e4e3df,#2c2f34);
--accent:light-dark(#1f5fbf,#7db0ff);--mark:light-dark(#fff3cf,#3a3216);--plus:light-dark(#e3f5e6,#16301d);--minus:light-dark(#fdeaea,#3a1c1e);
--plus-ink:light-dark(#1c6b31,#7fd694);--minus-ink:light-dark(#a8323a,#f1979c);
--mono:ui-monospace,SFMono-Regular,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
[data-theme=light]{color-scheme:light}[data-theme=dark]{color-scheme:dark}
*{box-sizing:border-box}
html{scroll-padding-top:16px}
body{margin:0;background:var(--page);color:var(--text);font:14px/1.55 var(--sans);display:grid;grid-template-columns:232px minmax(0,1fr);min-height:100vh}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:4px}
header{border-right:1px solid var(--line);padding:26px 16px 20px;position:sticky;top:0;height:100vh;display:flex;flex-direction:column;gap:4px;overflow:auto}
header .brand{font-size:11px;letter-spacing:.09em;text-transform:uppercase;color:var(--muted);padding:0 10px}
header h1{font-size:18px;line-height:1.25;margin:2px 0 4px;padding:0 10px;overflow-wrap:anywhere;font-weight:650}
header .target{color:var(--muted);font-size:12px;padding:0 10px;margin:0 0 18px}
nav{display:flex;flex-direction:column;gap:1px}
nav a{display:flex;justify-content:space-between;align-items:center;padding:6px 10px;border-radius:7px;color:var(--text)}
nav a:hover{background:var(--sunk);text-decoration:none}
nav a[aria-current]{background:light-dark(#eaeef5,#24292f);font-weight:600}
kbd{font:11px var(--mono);color:var(--muted);border:1px solid var(--line);border-radius:4px;padding:0 5px;background:var(--card);font-weight:400}
header footer{margin-top:auto;padding:14px 10px 0;color:var(--muted);font-size:12px;display:flex;flex-direction:column;gap:8px;align-items:flex-start}
button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:7px;padding:3px 10px;cursor:pointer}
button:hover{border-color:var(--muted)}
main{padding:30px 38px 80px;max-width:1360px;width:100%}
main>section{scroll-margin-top:30px}
section>h2{font-size:23px;line-height:1.25;margin:0 0 4px;font-weight:650;letter-spacing:-.01em}
h3{font-size:15px;margin:34px 0 2px;font-weight:650}
.lead{color:var(--muted);margin:0 0 14px;max-width:82ch}section>.lead{font-size:15px;margin-bottom:22px}
.muted{color:var(--muted)}.none{color:var(--muted);font-style:italic;margin:8px 0}
code,pre,.mono{font-family:var(--mono);font-size:12.5px}
.signature{font:13px/1.6 var(--mono);background:var(--sunk);border:1px solid var(--line);border-radius:9px;padding:10px 14px;margin:0 0 22px;overflow-wrap:anywhere;max-height:9.5em;overflow:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(136px,1fr));gap:10px;margin-bottom:8px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:11px 14px;color:inherit;display:flex;flex-direction:column}
.tile:hover{border-color:var(--muted);text-decoration:none}.tile b{font-size:20px;font-weight:620;letter-spacing:-.01em;font-variant-numeric:tabular-nums}.tile span{color:var(--muted);font-size:12px}
.columns{display:grid;grid-template-columns:1fr 1fr;gap:20px;align-items:start}
.scroll{overflow:auto;max-width:100%}
table{border-collapse:collapse;font-size:13px}
td,th{padding:4px 12px 4px 0;text-align:left;vertical-align:top}th{color:var(--muted);font-weight:500;font-size:12px}
.num,th.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
table.plain,table.sums,table.groups{width:100%}
table.sums td,table.groups td,table.plain td{border-top:1px solid var(--line);padding:6px 14px 6px 0}
table.sums thead th{padding-bottom:6px}table.sums tfoot td{border-top:2px solid var(--line);font-weight:600}
td.kind{color:var(--muted);width:1%;white-space:nowrap}
td.name{max-width:26em;overflow-wrap:anywhere}
.chip{display:inline-block;min-width:22px;text-align:center;font:600 11px/18px var(--sans);font-variant-numeric:tabular-nums;color:var(--ink);background:var(--fill);border:1px solid var(--edge);border-radius:9px;padding:0 5px;margin:0 3px 2px 0}
.chip:hover{text-decoration:none;filter:brightness(.96)}
.ops{line-height:1.9;margin:10px 0}.node-link{display:inline-block;font:12px/18px var(--mono);color:var(--text);background:var(--sunk);border:1px solid var(--line);border-radius:5px;padding:0 6px;margin:0 4px 2px 0}
.more{color:var(--muted);font-size:12px}
.bar{display:inline-block;min-width:96px;padding:0 6px;border-radius:4px;font-variant-numeric:tabular-nums;font-size:12px;background:linear-gradient(90deg,light-dark(#d9e5f7,#2a3d5a) calc(var(--part)*100%),var(--sunk) 0)}
details>summary{cursor:pointer;list-style:none;display:flex;align-items:center;gap:10px}
details>summary::-webkit-details-marker{display:none}
details>summary::before{content:"";flex:none;width:6px;height:6px;border:solid var(--muted);border-width:0 1.5px 1.5px 0;transform:rotate(-45deg);transition:transform .12s}
details[open]>summary::before{transform:rotate(45deg)}
.grow{flex:1}
.kernel{content-visibility:auto;contain-intrinsic-size:auto 46px}
.pass,.kernel{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 14px;margin-bottom:10px}
.pass .ordinal{color:var(--muted);font-variant-numeric:tabular-nums;width:14px;text-align:right}
.pass b{min-width:138px}.pass>.lead{margin:6px 0 10px 30px}
.pass .time{font-size:12px;color:var(--muted);width:96px;text-align:right;font-variant-numeric:tabular-nums}
.plus{color:var(--plus-ink);font-weight:600}.minus{color:var(--minus-ink);font-weight:600}
pre{margin:0}
pre.text,pre.diff{background:var(--sunk);border:1px solid var(--line);border-radius:8px;padding:10px 12px;overflow:auto;max-height:70vh;line-height:1.5;tab-size:2}
pre.diff{padding:6px 0}pre.line{white-space:pre-wrap;overflow-wrap:anywhere;max-height:14em}
.dl{display:block;width:max-content;min-width:100%;padding-right:12px}.dl i{display:inline-block;width:44px;padding-right:8px;text-align:right;color:var(--muted);font-style:normal;opacity:.7;user-select:none}
.dl b{font-weight:400;padding-left:8px}.dl.add{background:var(--plus)}.dl.del{background:var(--minus)}.dl.skip{color:var(--muted);background:light-dark(#ebebe7,#191b1e)}
.whole,.uses{margin-top:10px}.whole>summary,.uses>summary{color:var(--muted);font-size:13px}.whole[open]>summary,.uses[open]>summary{margin-bottom:8px}
.reason{border-top:1px solid var(--line);padding:8px 0}.reason>summary b{font-weight:550}.reason table{margin:8px 0 4px 16px}.reason td{padding-top:2px;padding-bottom:2px}
td.to{color:var(--muted)}td.why{color:var(--muted);font-size:12.5px}
.jump{line-height:2;margin:0 0 14px}
.kernel{border-left:4px solid var(--edge)}.kernel>summary{flex-wrap:wrap;row-gap:2px}.kernel>summary b{font-weight:600;overflow-wrap:anywhere}.kernel .facts{color:var(--muted);font-size:12.5px;font-variant-numeric:tabular-nums}
.kernel .schedule{font-size:12.5px}
.pair{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,7fr);gap:20px;margin-top:12px;align-items:start}
.code{margin:0 0 10px;border:1px solid var(--line);border-radius:8px;overflow:hidden;background:var(--sunk)}
.code figcaption{font:12px var(--mono);color:var(--muted);padding:5px 12px;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.code figcaption:last-child{border-bottom:0}
.code pre{overflow:auto;padding:6px 0;line-height:1.55;max-height:34em}
.code .places{margin:8px 0;padding-left:28px}
.ln{display:block;width:max-content;min-width:100%;padding-right:12px}.ln i{display:inline-block;width:42px;padding-right:10px;text-align:right;color:var(--muted);font-style:normal;opacity:.8;user-select:none}.ln b{font-weight:400;white-space:pre}
.ln.hit,tr.hit td.text{background:var(--mark)}.ln.gap{color:var(--muted)}
.annotated table{width:100%;font:12.5px/1.55 var(--mono)}.annotated td{padding:1px 10px 1px 0}.annotated td.line{width:42px;padding-left:10px;text-align:right;color:var(--muted);opacity:.8;user-select:none}
.annotated td.text{white-space:pre;padding-left:4px}.annotated td.share{font-family:var(--sans);width:110px}.annotated td.chips{font-family:var(--sans);min-width:140px;max-width:340px}.annotated tr.gap td{color:var(--muted);padding-left:46px}
.annotated tr:not(.hit){color:var(--muted)}
.t-comment{color:light-dark(#7b8188,#868c95);font-style:italic}.t-string{color:light-dark(#2f7d46,#8fcf9f)}.t-number{color:light-dark(#8a4b08,#e0a96d)}.t-word{color:light-dark(#7a3aa5,#c79bea)}
[role=tablist]{display:inline-flex;gap:2px;background:var(--sunk);border:1px solid var(--line);border-radius:8px;padding:2px}
[role=tab]{border:0;background:none;border-radius:6px;padding:2px 11px;font-size:13px}[role=tab][aria-selected=true]{background:var(--card);box-shadow:0 0 0 1px var(--line);font-weight:600}
[role=tab] .muted{font-weight:400;font-size:11px}
.tabs>[role=tablist]{margin-bottom:8px}.pair pre.text{max-height:34em}
[hidden]{display:none!important}
.bar-of-tools{display:flex;align-items:center;gap:8px;margin-bottom:10px}.hint{font-size:12px}
.stage{display:grid;grid-template-columns:minmax(0,1fr);border:1px solid var(--line);border-radius:10px;background:var(--card);overflow:hidden}
.stage:has(.detail:not([hidden])){grid-template-columns:minmax(0,1fr) 340px}
.canvas{height:calc(100vh - 236px);min-height:440px;overflow:hidden;background:var(--card) radial-gradient(light-dark(#ececea,#24262a) 1px,transparent 1px) 0 0/18px 18px}
svg.drawing{width:100%;height:100%;display:block;cursor:grab;touch-action:none;user-select:none}svg.drawing:active{cursor:grabbing}
.detail{border-left:1px solid var(--line);padding:14px 16px;overflow:auto;height:calc(100vh - 236px);min-height:440px;font-size:13px}.detail h3{margin:0 0 8px}
.detail .row{display:flex;gap:10px;margin:8px 0}.detail .label{color:var(--muted);flex:none;width:56px}.detail .value{min-width:0;overflow-wrap:anywhere}.detail .value code{background:var(--sunk);border:1px solid var(--line);border-radius:5px;padding:0 6px;margin-right:4px}.detail .go{display:inline-block;margin:2px 0 6px}
.detail figure{margin-top:10px}
.drawing text{font-family:var(--sans);fill:var(--text)}.drawing .title{font-size:13px;font-weight:600}.drawing .sub{font-size:11px;fill:var(--muted)}
.box>rect{fill:var(--fill,var(--card));stroke:var(--edge,light-dark(#c4c6ca,#4a4e55));stroke-width:1.1}
.box.operation>.sub,.box.param>.sub,.box.constant>.sub,.box.result>.sub{font-family:var(--mono);font-size:10.5px}
.box>.title{fill:var(--ink,var(--text))}.box.param>rect,.box.constant>rect,.box.result>rect{fill:var(--sunk);stroke-dasharray:none}.box.param .title,.box.constant .title,.box.result .title{font-weight:500}
.box.control>rect{fill:light-dark(#f7f7f5,#17191b)}
.block{fill:var(--card);stroke:var(--line)}
.box[role=button]{cursor:pointer}.box[role=button]:hover>rect{stroke-width:2}.box:focus-visible{outline:none}.box:focus-visible>rect,.box.chosen>rect{stroke:var(--accent);stroke-width:2.4}
.arrow{fill:none;stroke:light-dark(#b3b6bb,#555a62);stroke-width:1.2}.tip{fill:light-dark(#9da1a7,#6c727b)}.arrow.near{stroke:var(--accent);stroke-width:2}
.chart{border:1px solid var(--line);border-radius:10px;background:var(--card);padding:10px}
.chart svg{width:100%;display:block}.chart text{font-family:var(--sans)}.axis{font-size:11px;fill:var(--muted)}.axis.link{fill:var(--accent)}.grid{stroke:var(--line)}
.mem rect{fill:var(--fill);stroke:var(--edge)}.mem text{font-size:11px;fill:var(--ink)}.mem:hover rect:first-of-type{stroke-width:2}
.mem.scratch>rect{fill:light-dark(#f5f5f3,#1d1f22);stroke:var(--line)}.mem.scratch>.hatch{fill:url(#hatch);stroke:none}.mem.scratch text{fill:var(--muted)}.hatch-line{stroke:light-dark(#dedcd6,#33373d);stroke-width:2}
.span{fill:none;stroke:var(--muted)}
.roof{fill:none;stroke:var(--text);stroke-width:1.6}.under{fill:light-dark(#f2f5fa,#1e2329)}
.dot circle{fill:var(--solid);fill-opacity:.82;stroke:var(--card);stroke-width:1.2}.dot:hover circle{fill-opacity:1}.dot .inside{font-size:11px;font-weight:650;fill:#fff}.dot .beside{font-size:10.5px;fill:var(--muted)}
.ready main>section[hidden]{display:none}
@media (max-width:980px){body{display:block}header{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line);padding:16px}header footer,header kbd{display:none}nav{flex-direction:row;flex-wrap:wrap}main{padding:20px 16px 60px}.pair,.columns,.stage{grid-template-columns:minmax(0,1fr)}.detail{border-left:0;border-top:1px solid var(--line);height:auto;min-height:0}.stage:has(.detail:not([hidden])){grid-template-columns:minmax(0,1fr) 340px}
.canvas{height:60vh}}
@media print{header{display:none}body{display:block}main>section{display:block!important}}
${kernelColours}
`;
