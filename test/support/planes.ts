import { loadBuild, openCodec } from '../../src/codec/builds.js';
import { Plane } from './plane.js';

/** Every build that ships. */
export const CODECS = ['simd', 'scalar', 'js'] as const;

/** A plane for each of these builds. */
export function createPlanes(names: readonly string[] = CODECS): Plane[] {
  return names.map((name) => {
    const build = loadBuild(name);
    return new Plane((memory) => openCodec(build, memory));
  });
}
