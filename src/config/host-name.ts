const NAME_MAX = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$/i;
/** A last label that makes resolvers take the whole for IPv4, in decimal, octal or hex: `0x7f.1`. */
const NUMBER = /^([0-9]+|0x[0-9a-f]*)$/i;

/** Whether DNS could know this name (RFC 1123, 2.1). A dot may stand at its end. */
export function isHostName(text: string): boolean {
  const name = text.replace(/\.$/, '');
  const labels = name.split('.');
  const last = labels.at(-1) ?? '';
  return (
    name.length <= NAME_MAX &&
    labels.every((label) => LABEL.test(label)) &&
    !last.includes('_') &&
    !NUMBER.test(last)
  );
}

/** Whether an endpoint of a config, which is right, is a host name. */
export function isName(endpoint: string): boolean {
  return endpoint !== 'any' && /[a-z]/i.test(endpoint) && !endpoint.includes(':');
}
