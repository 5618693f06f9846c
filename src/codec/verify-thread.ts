// The thread in which a user's own build is judged: see verifyBuild.
import { parentPort, workerData } from 'node:worker_threads';
import { Failure } from '../sys/failure.js';
import type { CodecBuild } from './builds.js';
import { judgeBuild, type Verdict } from './verify.js';

parentPort?.postMessage(judge(workerData as CodecBuild));

function judge(build: CodecBuild): Verdict {
  try {
    judgeBuild(build);
    return null;
  } catch (error) {
    if (error instanceof Failure) return { message: error.message, hint: error.hint };
    throw error;
  }
}
