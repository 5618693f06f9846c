// The two formats of /metrics, and which one a scraper gets.

export type MetricsFormat = 'prometheus' | 'openmetrics';

export const CONTENT_TYPES = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const satisfies Readonly<Record<MetricsFormat, string>>;

/** Versions of OpenMetrics whose readers understand 1.0.0. */
const OPENMETRICS_VERSIONS = ['1.0.0', '0.0.1'];

/** Chooses by the Accept header (RFC 9110, 12.5.1). What asks for neither format gets Prometheus text. */
export function chooseFormat(accept: string | undefined): MetricsFormat {
  let open = 0;
  let text = 0;
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const quality = Number(parameterOf(parameters, 'q') ?? 1);
    if (Number.isNaN(quality)) continue;
    if (type === 'application/openmetrics-text') {
      const version = parameterOf(parameters, 'version') ?? '1.0.0';
      if (OPENMETRICS_VERSIONS.includes(version)) open = Math.max(open, quality);
    } else if (type === 'text/plain' || type === 'text/*') {
      text = Math.max(text, quality);
    }
  }
  return open > 0 && open >= text ? 'openmetrics' : 'prometheus';
}

function parameterOf(parameters: readonly string[], name: string): string | undefined {
  const found = parameters.find((parameter) => parameter.startsWith(`${name}=`));
  return found?.slice(name.length + 1).replaceAll('"', '');
}
