// docs/troubleshooting.md: what each drop reason means, and what to do.
import { REASON, type Reason } from '../../src/packet/reason.js';
import { generatedFrom } from './markdown.js';
import { NOTES } from './reasons.js';

/** As asm/reason.ts has them: where on its way a packet ends. */
const GROUPS: readonly { readonly title: string; readonly text: string; readonly first: Reason }[] =
  [
    {
      title: 'No tunnel took it',
      text: 'Counted for the router, below the table of `grebe status` and in `drops` of `-j`.',
      first: 'no-tunnel',
    },
    { title: 'The tunnel refused it', text: 'Counted for the tunnel.', first: 'gre-checksum' },
    {
      title: 'It could not be sent or delivered',
      text: 'Counted for the tunnel, but for errors of the underlay that fit none.',
      first: 'no-route',
    },
  ];

export function troubleshootingPage(): string {
  const reasons = reasonsInOrder();
  const sections = GROUPS.map((group, n) => {
    const next = GROUPS[n + 1];
    const end = next === undefined ? reasons.length : reasons.indexOf(next.first);
    const members = reasons.slice(reasons.indexOf(group.first), end);
    return [`## ${group.title}`, group.text, ...members.map(section)].join('\n\n');
  });
  return `${INTRODUCTION}\n${sections.join('\n\n')}\n`;
}

/** All reasons, by their numbers. */
export function reasonsInOrder(): Reason[] {
  const isReason = (name: string): name is Reason => name in REASON;
  return Object.keys(REASON)
    .filter(isReason)
    .sort((a, b) => REASON[a] - REASON[b]);
}

function section(reason: Reason): string {
  const { means, causes, look, next } = NOTES[reason];
  const list = causes.map((cause) => `- ${cause}`).join('\n');
  return `### ${reason}

A packet that ${means}.

${list}

**Look at** ${look}.

**Then** ${next}.`;
}

const INTRODUCTION = `# Why packets are dropped, and what to do

${generatedFrom('test/docs/reasons.ts')}

Every packet that comes to the router is forwarded, ends at the router itself, or is counted under exactly one reason. So the way to
find a fault is always the same. Here the two ends have different keys:

\`\`\`toml here/grebe.toml
[tunnel.gre1]
mode = "gre"
local = "192.0.2.1"
remote = "192.0.2.2"
key = 42
address = ["10.9.0.1/24"]
\`\`\`

\`\`\`toml there/grebe.toml
[tunnel.gre1]
mode = "gre"
local = "192.0.2.2"
remote = "192.0.2.1"
key = 43
address = ["10.9.0.2/24"]
\`\`\`

\`\`\`sh here
sudo npx grebe run --config grebe.toml
\`\`\`

\`\`\`sh there
sudo npx grebe run --config grebe.toml
\`\`\`

**1. Which reason?** \`grebe status\` counts them, those of a tunnel in its row and those of no tunnel below:

\`\`\`sh there
ping -c 3 -W 1 10.9.0.1 || true
\`\`\`

\`\`\`console
$ sudo npx grebe status
gre1  gre   192.0.2.1 -> 192.0.2.2  up     1472  0 (0 B)
packets of no tunnel, dropped: no-tunnel 3
\`\`\`

**2. Which packets?** \`grebe trace --drops\` shows them with every check they passed, and the one that they did not. \`grebe explain\`
asks the same of a packet that nobody has sent yet, against a config alone:

\`\`\`console
$ npx grebe explain gre key 43 from 192.0.2.2 to 192.0.2.1 --config grebe.toml
✗ tunnel           none for GRE, 192.0.2.2 -> 192.0.2.1, key 43
dropped: no-tunnel
nearest: gre1: key 43, expected 42
next: in [tunnel.gre1]: key = 43; or at the peer: key 42
\`\`\`

**3. What to do?** The line behind \`next:\`, or the section below.

**No drops, and still nothing arrives?** \`grebe doctor --probe\` looks at the machine around the router, and says what to type. If it
finds nothing, the packets never came to the router: RX of the tunnel stays 0. Look with
\`tcpdump -ni eth0 proto 47\` (4 for \`ipip\`, 41 for \`sit\`, \`udp port 4754\` for \`gre-udp\`). What the kernel dropped before
the router had it is in \`kernelDrops\` of \`grebe status -j\`. RX grows and TX does not: the answer has no route into the
tunnel, or the host's firewall or \`rp_filter\` dropped what the tunnel device delivered.
`;
