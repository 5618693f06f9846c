// /metrics as a scraper sees it, and the readers that share no code with what writes it.
import { spawnSync } from 'node:child_process';
import { type IncomingHttpHeaders, request } from 'node:http';

export interface Page {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Where to ask: a unix socket, or a TCP address. */
export type Target =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const OPENMETRICS = { Accept: 'application/openmetrics-text; version=1.0.0' };

/** Sends one request, by default for /metrics. */
export function scrape(target: Target, ask: Ask = {}): Promise<Page> {
  const { method = 'GET', path = '/metrics', headers = {} } = ask;
  return new Promise((resolve, reject) => {
    const call = request({ ...target, method, path, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.once('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    call.once('error', reject);
    call.end();
  });
}

/** Samples of a page by what stands before the value: name and labels. */
export function samplesOf(page: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of page.split('\n')) {
    const [, series, value] = /^([a-z][^ {]*(?:\{.*\})?) ([^ ]+)$/.exec(line) ?? [];
    if (series !== undefined) samples.set(series, Number(value));
  }
  return samples;
}

/** Why tests with promtool cannot run here, or false. */
export const withoutPromtool: string | false =
  spawnSync('promtool', ['--version']).status === 0
    ? false
    : 'needs promtool (apt-get install prometheus)';

/** Runs promtool. Returns what it complains about, empty when that is nothing. */
export function promtool(words: readonly string[], input = '', cwd = '.'): string {
  const { status, stdout, stderr } = spawnSync('promtool', words, { input, cwd, encoding: 'utf8' });
  const said = `${stdout}${stderr}`.trim();
  // Where it finds nothing wrong it still says what it checked, but for metrics.
  return status === 0 && words[1] !== 'metrics' ? '' : said;
}

const PYTHON = '/usr/bin/python3';
const PARSE = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([[f.name, f.type, [[s.name, s.labels, s.value] for s in f.samples]] for f in families]))
`;

/** Why tests with the OpenMetrics parser of prometheus_client cannot run here, or false. */
export const withoutParser: string | false =
  spawnSync(PYTHON, ['-c', 'import prometheus_client.openmetrics.parser']).status === 0
    ? false
    : 'needs prometheus_client (apt-get install python3-prometheus-client)';

export type Family = readonly [
  name: string,
  type: string,
  samples: readonly (readonly [name: string, labels: Record<string, string>, value: number])[],
];

/** Parses OpenMetrics with the parser of prometheus_client, which takes nothing else. */
export function parseOpenMetrics(page: string): readonly Family[] {
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', PARSE], {
    input: page,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`prometheus_client takes it not: ${stderr}`);
  return JSON.parse(stdout);
}
