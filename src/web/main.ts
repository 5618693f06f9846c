// The page: what the router tells each second, shown in its places.
//
//   1. connection   events of /v1/events
//   2. view         the status that they add up to
//   3. show         once a second, and on what people choose

import type { LiveEvent } from '../control/event.js';
import { formatSeconds } from '../view/format.js';
import { LiveView } from '../view/live.js';
import { Chart } from './chart.js';
import { followEvents, keepToken } from './connection.js';
import { showDiff } from './diff.js';
import { DropTable } from './drop-table.js';
import { byId, setText } from './element.js';
import { PacketList } from './packet-list.js';
import { followTheme } from './theme.js';
import { TunnelTable } from './tunnel-table.js';

keepToken();
const view = new LiveView();
const chart = new Chart();
const tunnels = new TunnelTable(view, show);
const drops = new DropTable();
const packets = new PacketList();
followTheme(() => chart.restyle());
void showDiff();
void followEvents({
  take,
  onOpen(hasPackets) {
    notify('');
    packets.explain(hasPackets ? 'open' : 'no-token');
  },
  onLost(why) {
    notify(`Not connected to the router: ${why}. What is shown is old; trying again.`);
  },
});

function take(event: LiveEvent): void {
  view.apply(event);
  switch (event.kind) {
    case 'status':
    case 'traffic':
    case 'drops':
      show();
      break;
    case 'state':
      show();
      speak(event.data.tunnel, event.data.state, event.data.downReason);
      break;
    case 'peers':
      show();
      for (const tunnel of Object.keys(event.data.tunnels)) speakOfPeers(tunnel);
      break;
    case 'packet':
      packets.add(event.data);
      break;
    case 'packets':
      packets.explain(event.data.isShown ? 'open' : 'elsewhere');
      break;
  }
}

function show(): void {
  showHealth();
  tunnels.show(view);
  chart.show(view, tunnels.lines);
  drops.show(view);
}

function showHealth(): void {
  const all = [...view.tunnels.values()];
  const down = all.filter(({ status }) => status.state === 'down').length;
  const count = `${all.length} tunnel${all.length === 1 ? '' : 's'}`;
  const pill = byId('health', HTMLElement);
  pill.classList.toggle('bad', down > 0);
  pill.classList.toggle('good', down === 0);
  setText(pill, down === 0 ? `${count} up` : `${count}, ${down} down`);
  const up = formatSeconds(view.uptimeSeconds);
  setText(
    byId('about', HTMLElement),
    `running for ${up} · codec ${view.codec} · underlay ${view.underlay}`,
  );
  document.title = down === 0 ? 'grebe' : `(${down} down) grebe`;
}

/** Shows a line above all, or none. */
function notify(text: string): void {
  const notice = byId('notice', HTMLElement);
  setText(notice, text);
  notice.hidden = text === '';
}

/** Tells a screen reader what matters: a tunnel that went down or came up, not the numbers of each second. */
function speak(tunnel: string, state: string, reason: string | undefined): void {
  setText(
    byId('spoken', HTMLElement),
    `${tunnel} is ${state}${reason === undefined ? '' : `: ${reason}`}`,
  );
}

function speakOfPeers(tunnel: string): void {
  const all = view.tunnels.get(tunnel)?.peers ?? [];
  const [first, ...rest] = all.filter(({ status }) => status.downReason !== undefined);
  const one = `peer ${first?.status.remote} is down: ${first?.status.downReason}`;
  const some = `${rest.length + 1} of ${all.length} peers are down`;
  const text = rest.length > 0 ? some : first === undefined ? 'no peer is down' : one;
  setText(byId('spoken', HTMLElement), `${tunnel}: ${text}`);
}
