// Numbers for people, in the terminal and in the browser.

/** `999 B`, `1.5 kB`, `2.3 GB`: powers of 1000. */
export function formatBytes(bytes: number): string {
  return `${formatScaled(bytes)}B`;
}

/** Bytes a second as `1.5 Mbit/s`. */
export function formatBitRate(bytesPerSecond: number): string {
  return `${formatScaled(bytesPerSecond * 8)}bit/s`;
}

/** Packets a second as `1.5 kpps`. */
export function formatPacketRate(packetsPerSecond: number): string {
  return `${formatScaled(packetsPerSecond)}pps`;
}

/** A number with one decimal and its prefix, to be followed by a unit: `12 `, `1.5 k`. */
export function formatScaled(value: number): string {
  let scaled = value;
  for (const prefix of ['', 'k', 'M', 'G', 'T']) {
    // What would be shown as 1000 or 1000.0 gets the next prefix.
    if (scaled < (prefix === '' ? 999.5 : 999.95) || prefix === 'T') {
      return `${prefix === '' ? Math.round(scaled) : scaled.toFixed(1)} ${prefix}`;
    }
    scaled /= 1000;
  }
  return String(value);
}

/** `8 s`, `3 min 12 s`, `5 h 2 min`, `12 d 3 h`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}
