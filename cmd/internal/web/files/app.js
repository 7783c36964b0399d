// The page: a table of clients that is drawn row by row where it is visible, and what the stream says.
"use strict";

const $ = id => document.getElementById(id);
const rowHeight = 28, spare = 8, eventsMost = 500, sparkMost = 120;

let me = null;             // role, token and what is possible
let stream = null;
const rows = new Map();    // by id: a client, with rates
let order = [];            // rows that the filter lets through, sorted
let sort = { key: "common_name", down: false };
let chosen = null;         // id
let drawn = new Map();     // id → element
let due = false, stale = true;
let traffic = null;        // the daemon's newest counters, with their time
const spark = [];
let server = true;

const columns = [
  { key: "common_name", title: "Common name" },
  { key: "username", title: "User" },
  { key: "real_address", title: "From" },
  { key: "virtual_address", title: "Tunnel", sort: r => inOrder(r.virtual_address || r.virtual_ipv6) , text: r => r.virtual_address || r.virtual_ipv6 },
  { key: "bytes_received", title: "Received", number: true, text: r => bytes(r.bytes_received) },
  { key: "bytes_sent", title: "Sent", number: true, text: r => bytes(r.bytes_sent) },
  { key: "rate_in", title: "In/s", number: true, text: r => r.rate_in ? bytes(r.rate_in) : "" },
  { key: "rate_out", title: "Out/s", number: true, text: r => r.rate_out ? bytes(r.rate_out) : "" },
  { key: "connected_since", title: "Since", text: r => when(r.connected_since) },
];

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + " " + units[i];
}
function when(text) { return text ? new Date(text).toLocaleString([], { dateStyle: "short", timeStyle: "medium" }) : ""; }
// inOrder makes addresses sort by number.
function inOrder(a) { return a ? a.replace(/\d+/g, d => d.padStart(5, "0")) : ""; }

// ---- talking to the server

async function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && me) headers["X-Moongate-Token"] = me.token;
  const r = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (r.status === 204) return null;
  const v = await r.json();
  if (!r.ok) {
    if (r.status === 401 && path !== "login") leave();
    throw new Error(v.error || r.statusText);
  }
  return v;
}

async function enter() {
  try { me = await call("GET", "api/me"); } catch { leave(); return; }
  $("login").hidden = true;
  $("page").hidden = false;
  $("role").textContent = me.role;
  $("kick").hidden = !me.kill;
  $("ban-line").hidden = !me.ban;
  document.querySelector('[data-tab="history"]').hidden = !me.history;
  listen();
}

function leave() {
  if (stream) stream.close();
  stream = me = null;
  rows.clear(); order = []; chosen = null; redraw(true);
  $("page").hidden = true;
  $("login").hidden = false;
  $("password").focus();
}

function listen() {
  if (stream) stream.close();
  stream = new EventSource("api/events");
  stream.addEventListener("clients", e => change(JSON.parse(e.data)));
  stream.addEventListener("note", e => note(JSON.parse(e.data)));
  stream.onerror = () => {
    badge("page lost its server", "bad");
    if (stream.readyState === EventSource.CLOSED) setTimeout(enter, 2000);
  };
}

// ---- what changes

function change(c) {
  if (c.all) rows.clear();
  for (const r of c.put || []) {
    const old = rows.get(r.id);
    rows.set(r.id, Object.assign(r, { rate_in: old ? old.rate_in : 0, rate_out: old ? old.rate_out : 0, at: c.at, moved: c.at }));
    if (old && !c.all) rate(r, old, r.bytes_received, r.bytes_sent, c.at);
  }
  for (const [id, received, sent] of c.moved || []) {
    const r = rows.get(id);
    if (r) rate(r, r, received, sent, c.at);
  }
  for (const id of c.gone || []) rows.delete(id);
  const slow = c.at - 6000; // a row that did not move has no rate any more
  for (const r of rows.values()) if (r.rate_in + r.rate_out > 0 && r.moved < slow) r.rate_in = r.rate_out = 0;
  if (c.daemon) daemon(c.daemon, c.at);
  $("count").textContent = server ? rows.size.toLocaleString() : "–";
  redraw(true);
}

function rate(r, old, received, sent, at) {
  const seconds = (at - old.at) / 1000;
  if (seconds > 0.5) {
    r.rate_in = Math.max(0, received - old.bytes_received) / seconds;
    r.rate_out = Math.max(0, sent - old.bytes_sent) / seconds;
    r.at = at;
  }
  r.bytes_received = received; r.bytes_sent = sent; r.moved = at;
}

function badge(text, kind) { $("state").textContent = text; $("state").className = "badge " + kind; }

function daemon(d, at) {
  $("name").textContent = d.name;
  document.title = d.name + " · moongate";
  server = d.server;
  connection(d);
  $("title").textContent = d.title || (d.state ? [d.state.tun_ipv4, d.state.tun_ipv6, d.state.remote_addr].filter(Boolean).join(" → ") : "");
  if (!d.connected) badge("not reached: " + (d.why || "…"), "bad");
  else if (d.state) badge(d.state.name, d.state.name === "CONNECTED" ? "good" : "");
  else badge("connected", "good");
  const now = { at, i: d.traffic.bytes_received, o: d.traffic.bytes_sent };
  if (traffic && at - traffic.at > 900) {
    const s = (at - traffic.at) / 1000, i = Math.max(0, now.i - traffic.i) / s, o = Math.max(0, now.o - traffic.o) / s;
    $("rate-in").textContent = bytes(i) + "/s";
    $("rate-out").textContent = bytes(o) + "/s";
    spark.push([i, o]);
    if (spark.length > sparkMost) spark.shift();
    const top = Math.max(1, ...spark.flat());
    const line = k => spark.map((v, n) => (n * 120 / (sparkMost - 1)).toFixed(1) + "," + (27 - 26 * v[k] / top).toFixed(1)).join(" ");
    $("spark-in").setAttribute("points", line(0));
    $("spark-out").setAttribute("points", line(1));
  }
  if (!traffic || at - traffic.at > 900) traffic = now;
}

function line(list, time, kind, text, first) {
  const li = document.createElement("li"), t = document.createElement("time"), b = document.createElement("b");
  t.textContent = when(time);
  b.textContent = kind;
  li.append(t, b, text);
  if (first) list.prepend(li); else list.append(li);
  return li;
}

function note(n) {
  const who = n.client ? [n.client.common_name, n.client.username, n.client.virtual_address].filter(Boolean).join(" ") : "";
  line($("events"), n.received, n.event || n.kind, n.log ? n.log.text : who || n.text, true);
  while ($("events").children.length > eventsMost) $("events").lastChild.remove();
}

// ---- the table

function redraw(changed) {
  stale = stale || changed;
  if (due) return;
  due = true;
  requestAnimationFrame(() => { due = false; draw(); });
}

function arrange() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  order = [];
  for (const r of rows.values()) {
    if (words.length) {
      const text = (r.common_name + " " + r.username + " " + r.real_address + " " + r.virtual_address + " " + r.virtual_ipv6).toLowerCase();
      if (!words.every(w => text.includes(w))) continue;
    }
    order.push(r);
  }
  const column = columns.find(c => c.key === sort.key);
  const value = column.sort || (sort.key === "real_address" ? r => inOrder(r.real_address) : r => r[sort.key]);
  const keys = new Map(order.map(r => [r, value(r)])), sign = sort.down ? -1 : 1;
  order.sort((a, b) => {
    const x = keys.get(a), y = keys.get(b);
    return x < y ? -sign : x > y ? sign : a.id < b.id ? -1 : 1;
  });
  $("shown").textContent = words.length ? order.length.toLocaleString() + " of " + rows.size.toLocaleString() : "";
}

function draw() {
  if (stale) { arrange(); stale = false; }
  const table = $("table"), top = table.scrollTop, head = $("head").offsetHeight;
  $("body").style.minHeight = order.length * rowHeight + "px";
  const from = Math.max(0, Math.floor(top / rowHeight) - spare), to = Math.min(order.length, Math.ceil((top + table.clientHeight - head) / rowHeight) + spare);
  const next = new Map();
  for (let n = from; n < to; n++) {
    const r = order[n];
    let e = drawn.get(r.id);
    if (!e) {
      e = document.createElement("div");
      e.className = "row";
      e.setAttribute("role", "row");
      e.dataset.id = r.id;
      for (const c of columns) {
        const cell = document.createElement("span");
        cell.setAttribute("role", "cell");
        if (c.number) cell.className = "number";
        e.append(cell);
      }
      $("body").append(e);
    }
    e.style.top = n * rowHeight + "px";
    e.classList.toggle("chosen", r.id === chosen);
    columns.forEach((c, k) => {
      const text = c.text ? c.text(r) : r[c.key] || "";
      if (e.children[k].textContent !== text) e.children[k].textContent = text;
    });
    next.set(r.id, e);
  }
  for (const [id, e] of drawn) if (!next.has(id)) e.remove();
  drawn = next;
  details();
}

function details() {
  const r = chosen === null ? null : rows.get(chosen);
  $("details").hidden = chosen === null;
  if (chosen === null) return;
  $("kick-button").disabled = !r;
  if (!r) { $("who").textContent = "This client has gone"; return; }
  $("who").textContent = r.common_name || r.real_address;
  const facts = [
    ["User", r.username], ["From", r.real_address], ["Tunnel", r.virtual_address], ["IPv6", r.virtual_ipv6], ["Since", when(r.connected_since)],
    ["Received", bytes(r.bytes_received) + " (" + bytes(r.rate_in) + "/s)"], ["Sent", bytes(r.bytes_sent) + " (" + bytes(r.rate_out) + "/s)"],
    ["Cipher", r.cipher], ["CID", r.cid], ["Peer id", r.peer_id],
  ];
  list($("facts"), facts);
}

// list fills a list with names and values; those without a value are left out.
function list(dl, facts) {
  facts = facts.filter(f => f[1] !== "" && f[1] !== null && f[1] !== undefined);
  const text = JSON.stringify(facts);
  if (dl.dataset.text === text) return;
  dl.dataset.text = text;
  dl.replaceChildren(...facts.flatMap(([k, v]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = k; dd.textContent = v;
    return [dt, dd];
  }));
}

// connection shows a client's own tunnel, which has no table.
function connection(d) {
  $("client").hidden = d.server;
  $("split").hidden = $("find").hidden = !d.server;
  document.querySelector('[data-tab="clients"]').textContent = d.server ? "Clients" : "Connection";
  const s = d.state || {}, at = (a, port) => a ? port ? a + " port " + port : a : "";
  list($("client"), [
    ["State", s.name], ["Detail", s.detail], ["Since", when(s.time)], ["Tunnel", s.tun_ipv4], ["IPv6", s.tun_ipv6], ["Server", at(s.remote_addr, s.remote_port)],
    ["From", at(s.local_addr, s.local_port)], ["Received", bytes(d.traffic.bytes_received)], ["Sent", bytes(d.traffic.bytes_sent)],
  ]);
}

// ---- acting

let toldTimer = 0;
function tell(text, bad) {
  $("told").textContent = text;
  $("told").className = bad ? "bad" : "";
  $("told").hidden = false;
  clearTimeout(toldTimer);
  toldTimer = setTimeout(() => { $("told").hidden = true; }, 8000);
}

function sure(text) {
  const dialog = $("sure");
  $("sure-text").textContent = text;
  dialog.showModal();
  return new Promise(done => { // not by the event "close": that of the question before may come late
    const end = yes => { dialog.close(); done(yes); };
    $("sure-yes").onclick = () => end(true);
    $("sure-no").onclick = () => end(false);
    dialog.oncancel = e => { e.preventDefault(); end(false); };
  });
}

async function kick(e) {
  e.preventDefault();
  const r = rows.get(chosen);
  if (!r) return;
  const reason = $("reason").value.trim(), ban = me.ban && $("ban").checked;
  const who = [r.common_name, r.username && "(" + r.username + ")", "at", r.real_address].filter(Boolean).join(" ");
  if (!await sure("Disconnect " + who + "? " + (ban ? "It will not be able to connect again." : "It may connect again."))) return;
  try {
    const done = await call("POST", "api/kill", { id: r.id, reason, ban });
    tell(done.text, false);
    $("reason").value = ""; $("ban").checked = false;
  } catch (err) { tell("Nothing was done: " + err.message, true); }
}

async function askHistory(e) {
  if (e) e.preventDefault();
  const q = new URLSearchParams({ user: $("h-user").value, cn: $("h-cn").value, days: $("h-days").value });
  try {
    const list = await call("GET", "api/history?" + q);
    $("history").replaceChildren();
    for (const ev of list.reverse()) {
      line($("history"), ev.time, ev.kind, [ev.user, ev.cn, ev.address, ev.who, ev.text, ev.verdict, ev.reason, (ev.tunnel || []).join(" "),
        ev.kind === "disconnect" ? bytes(ev.in || 0) + " in, " + bytes(ev.out || 0) + " out" : ""].filter(Boolean).join(" · "));
    }
    $("h-shown").textContent = list.length + " events";
  } catch (err) { $("h-shown").textContent = err.message; }
}

async function log() {
  try {
    const list = await call("GET", "api/log");
    $("log").replaceChildren();
    for (const l of list.reverse()) line($("log"), l.time, l.flags, l.text);
  } catch (err) { tell(err.message, true); }
}

function show(tab) {
  for (const b of document.querySelectorAll("[data-tab]")) b.setAttribute("aria-selected", b.dataset.tab === tab);
  for (const s of document.querySelectorAll("section")) s.hidden = s.id !== "tab-" + tab;
  if (tab === "history") askHistory();
  if (tab === "log") log();
  redraw(false);
}

// ---- begin

for (const c of columns) {
  const b = document.createElement("button");
  b.type = "button";
  b.dataset.key = c.key;
  b.setAttribute("role", "columnheader");
  if (c.number) b.className = "number";
  b.onclick = () => {
    sort = { key: c.key, down: sort.key === c.key ? !sort.down : !!c.number };
    heads();
    redraw(true);
  };
  $("head").append(b);
}
function heads() {
  columns.forEach((c, n) => {
    const own = c.key === sort.key;
    $("head").children[n].textContent = c.title + (own ? sort.down ? " ▼" : " ▲" : "");
    $("head").children[n].setAttribute("aria-sort", own ? sort.down ? "descending" : "ascending" : "none");
  });
}
heads();
$("table").addEventListener("scroll", () => redraw(false), { passive: true });
new ResizeObserver(() => redraw(false)).observe($("table"));
$("filter").addEventListener("input", () => { $("table").scrollTop = 0; redraw(true); });
$("body").addEventListener("click", e => {
  const row = e.target.closest(".row");
  if (row) { chosen = row.dataset.id; redraw(false); }
});
$("close").onclick = () => { chosen = null; redraw(false); };
$("kick").addEventListener("submit", kick);
$("ask").addEventListener("submit", askHistory);
$("logout").onclick = async () => { try { await call("POST", "logout"); } finally { leave(); } };
for (const b of document.querySelectorAll("[data-tab]")) b.onclick = () => show(b.dataset.tab);
async function login(password) {
  try {
    await call("POST", "login", { password });
    $("password").value = ""; $("login-error").textContent = "";
    await enter();
  } catch (err) { $("login-error").textContent = err.message; }
}
$("login").addEventListener("submit", e => { e.preventDefault(); login($("password").value); });
show("clients");
const key = location.hash.slice(1); // the address that the program prints has the password there, which no server or log sees
if (key) {
  history.replaceState(null, "", location.pathname);
  login(key).then(() => { if (!me) leave(); });
} else enter();
