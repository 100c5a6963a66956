import { parentPort } from 'node:worker_threads';
import { serve } from './core/archive/threads/serve.ts';

// The module that worker threads run: it exports nothing, and does nothing on any other thread.
if (parentPort !== null) serve(parentPort);
