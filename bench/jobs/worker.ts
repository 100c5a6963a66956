import { openHost, type Place } from './host.ts';

// A host of its own, until it is killed.
const place: Place = JSON.parse(process.argv[2] ?? '');
await openHost(place, true);
console.log('ready');
