import { subscribe } from 'node:diagnostics_channel';
import type { Boundaries } from '../boundaries.ts';

const VERSION = /^v[\d.]+$/;
const ID = /^[a-f0-9]{8}-?([a-f0-9]{4}-?){3}[a-f0-9]{12}$/;

/**
 * From now on, every request of this process that changes something is a boundary once it was sent: whoever dies there
 * has a service go on without him. Its place tells the method and what of, such as `POST volumes action`.
 */
export function crossRequests(boundaries: Boundaries): void {
  subscribe('undici:request:bodySent', (message) => {
    const { method, path } = (message as { readonly request: Sent }).request;
    const place = placeOf(path);
    if (method === 'GET' || method === 'HEAD' || place === 'auth tokens') return;
    // The channel tells of it when the bytes are the socket's, which sends them before it comes to anything else.
    process.nextTick(() => boundaries.cross(`${method} ${place}`, 'sent'));
  });
}

type Sent = { readonly method: string; readonly path: string };

function placeOf(path: string): string {
  const [bare = ''] = path.split('?');
  const words = bare.split('/').filter((word) => word !== '' && !VERSION.test(word) && !ID.test(word));
  return words.join(' ');
}
