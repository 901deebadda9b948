// What the page does with JavaScript and without it differs in comfort only: it stays current by
// itself, and output of runners goes on as it comes.
'use strict';

// update makes the node a like b, and touches only what differs, so that focus, selection and
// scrolling stay. Children with data-key are the same thing where they have the same key.
function update(a, b) {
  if (a.nodeType === Node.TEXT_NODE) {
    if (a.data !== b.data) a.data = b.data;
    return;
  }
  if (a.nodeType !== Node.ELEMENT_NODE || a.hasAttribute('data-keep')) return;
  for (const { name } of [...a.attributes]) if (!b.hasAttribute(name) && name !== 'open') a.removeAttribute(name);
  for (const { name, value } of b.attributes) if (a.getAttribute(name) !== value) a.setAttribute(name, value);
  const keyed = new Map();
  for (const child of a.children) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let at = a.firstChild;
  for (const wanted of [...b.childNodes]) {
    const same = wanted.dataset?.key ? keyed.get(wanted.dataset.key) : alike(at, wanted) ? at : null;
    if (!same) {
      a.insertBefore(document.importNode(wanted, true), at);
      continue;
    }
    if (same === at) at = at.nextSibling; else a.insertBefore(same, at);
    update(same, wanted);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function alike(a, b) {
  return a && a.nodeType === b.nodeType && a.nodeName === b.nodeName && !a.dataset?.key && a.id === b.id;
}

// follow keeps what is in main current.
function follow(main) {
  const sign = document.getElementById('live');
  const source = new EventSource(location.href);
  source.onmessage = (e) => {
    const next = new DOMParser().parseFromString('<main>' + e.data + '</main>', 'text/html').querySelector('main');
    for (const { name, value } of main.attributes) next.setAttribute(name, value);
    update(main, next);
  };
  const say = (text, lost) => {
    sign.hidden = false;
    if (sign.textContent !== text) sign.textContent = text;
    sign.classList.toggle('lost', lost);
  };
  source.onopen = () => say('live', false);
  source.onerror = () => say(source.readyState === EventSource.CLOSED ? 'not live: reload' : 'reconnecting', true);
  addEventListener('pagehide', () => source.close());
  addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
}

// print appends the output of a runner as it comes.
function print(out) {
  const source = new EventSource(out.dataset.output);
  let begun = false;
  source.onmessage = (e) => {
    if (!begun) out.textContent = '';
    begun = true;
    const end = out.scrollTop + out.clientHeight >= out.scrollHeight - 40;
    out.append(e.data + '\n');
    while (out.childNodes.length > 5000) out.firstChild.remove();
    if (end) out.scrollTop = out.scrollHeight;
  };
  source.addEventListener('end', () => source.close());
  source.onerror = () => { begun = false; };
  addEventListener('pagehide', () => source.close());
}

const main = document.querySelector('main[data-live]');
if (main) follow(main);
for (const out of document.querySelectorAll('[data-output]')) print(out);

// A filter is applied when it is chosen.
for (const form of document.querySelectorAll('form.filters')) {
  form.addEventListener('change', (e) => { if (e.target.matches('select')) form.requestSubmit(); });
}
// What cannot be undone asks once more.
document.addEventListener('submit', (e) => {
  const ask = e.submitter?.dataset.ask;
  if (ask && !confirm(ask)) e.preventDefault();
});
