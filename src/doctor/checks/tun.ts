import { statSync } from 'node:fs';
import { close, errno, errnoName, open } from '../../sys/libc.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import type { Subject } from '../subject.js';

const PATH = '/dev/net/tun';
/** linux/miscdevice.h: MISC_MAJOR and TUN_MINOR, as makedev(3) puts them together. */
const DEVICE_NUMBER = (10 << 8) | 200;
const O_RDWR_CLOEXEC = 0o2000002;

/** Whether devices can be made: opening the file makes none yet. */
export const tun: Check = {
  looks: PATH,
  fine: `${PATH} is there and can be opened`,
  isOfMachine: true,
  examine: ({ router }: Subject) => {
    if (router.kind === 'running') return [{ severity: 'ok', found: 'the router has its devices' }];
    return examineFile(router.kind === 'unknown');
  },
};

function examineFile(mayRun: boolean): Outcome[] {
  const wrong = mayRun ? 'unknown' : 'error';
  const found = statSync(PATH, { throwIfNoEntry: false });
  if (found === undefined) {
    const next = `sudo modprobe tun; in a container: --device ${PATH}`;
    return [{ severity: wrong, found: `there is no ${PATH}`, next }];
  }
  if (!found.isCharacterDevice() || found.rdev !== DEVICE_NUMBER) {
    const next = `sudo rm ${PATH} && sudo mknod ${PATH} c 10 200 && sudo chmod 0666 ${PATH}`;
    return [{ severity: wrong, found: `${PATH} is not the TUN driver's file`, next }];
  }
  const fd = open(PATH, O_RDWR_CLOEXEC);
  if (fd >= 0) {
    close(fd);
    return [];
  }
  const cause = errnoName(errno());
  const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
  switch (cause) {
    case 'EACCES':
    case 'EPERM': {
      const next = `sudo chmod 0666 ${PATH}; what a user makes with it still needs CAP_NET_ADMIN`;
      const text = `${PATH} cannot be opened: ${cause}; its mode is ${mode}, its owner uid ${found.uid}`;
      return [{ severity: wrong, found: text, next }];
    }
    default: {
      const next = 'sudo modprobe tun; or a kernel with CONFIG_TUN';
      return [{ severity: wrong, found: `${PATH} cannot be opened: ${cause}`, next }];
    }
  }
}
