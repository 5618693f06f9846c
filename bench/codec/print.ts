// The tables of the codec bench for people.
import type { CodecBenchResult, Figure, PacketRow } from './codec-bench.js';

/** Machine and versions on top, then packets, then checksums; medians of the run. */
export function formatCodecBench(result: CodecBenchResult): string {
  const { machine, builds } = result;
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, grebe ${machine.commit}`,
    '',
    'ns a packet, checks and all; plain: GRE, full: GRE with checksum, key and sequence; size of the inner packet',
    ...table([
      ['', 'tunnel', 'bytes', 'batch', ...builds, ...ratioTitles(builds)],
      ...result.packets.map((row) => packetLine(row, builds)),
    ]),
    '',
    'ns a packet: 64 KB of TCP split, its segments merged again, and as many flows as packets',
    ...table([
      ['', 'packets', ...builds, ...ratioTitles(builds)],
      ...result.merging.map(({ kind, packets, nanoseconds }) => [
        kind,
        String(packets),
        ...figureCells(nanoseconds, builds),
      ]),
    ]),
    '',
    'checksum, GB/s',
    ...checksumTable(result),
  ];
  if (result.withoutC !== null) lines.push(`gcc -O3: left out, ${result.withoutC}`);
  return lines.join('\n');
}

function packetLine(row: PacketRow, builds: readonly string[]): string[] {
  const { direction, tunnel, size, batch, nanoseconds } = row;
  return [direction, tunnel, String(size), String(batch), ...figureCells(nanoseconds, builds)];
}

/** The figures of all builds, then what js takes to each of the others. */
function figureCells(
  nanoseconds: Readonly<Record<string, Figure>>,
  builds: readonly string[],
): string[] {
  const { js } = nanoseconds;
  const figures = builds.map((name) => nanoseconds[name]);
  return [
    ...figures.map((figure) => (figure === undefined ? '' : digits(figure.median))),
    ...builds
      .filter((name) => name !== 'js' && js !== undefined)
      .map((name) => ratio(js, nanoseconds[name], 0)),
  ];
}

function ratioTitles(builds: readonly string[]): string[] {
  if (!builds.includes('js')) return [];
  return builds.filter((name) => name !== 'js').map((name) => `js/${name}`);
}

function checksumTable({ builds, checksums }: CodecBenchResult): string[] {
  const names = [...new Set(checksums.flatMap(({ gigabytes }) => Object.keys(gigabytes)))];
  const hasC = names.includes('gcc -O3');
  const compared = hasC ? builds : [];
  return table([
    ['bytes', ...names, ...compared.map((name) => `${name}/gcc`)],
    ...checksums.map(({ length, gigabytes }) => [
      String(length),
      ...names.map((name) => digits(gigabytes[name]?.median ?? 0)),
      ...compared.map((name) => ratio(gigabytes[name], gigabytes['gcc -O3'], 2)),
    ]),
  ]);
}

function ratio(above: Figure | undefined, below: Figure | undefined, places: number): string {
  if (above === undefined || below === undefined || below.median === 0) return '';
  return (above.median / below.median).toFixed(places);
}

function digits(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}

/** Columns in line: words to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const width = (column: number): number =>
    Math.max(...rows.map((row) => (row[column] ?? '').length));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        /^[a-z]/.test(rows.at(-1)?.[column] ?? '')
          ? cell.padEnd(width(column))
          : cell.padStart(width(column)),
      )
      .join('  ')
      .trimEnd(),
  );
}
