import * as z from 'zod';
import { FafnirError } from '../../core/errors.ts';

const links = z.array(z.looseObject({ rel: z.string(), href: z.string() }));
const BODY = z.looseObject({
  /** Of Glance. */
  next: z.string().nullish(),
  /** Of Keystone. */
  links: z.looseObject({ next: z.string().nullish() }).nullish().catch(undefined),
  truncated: z.boolean().optional().catch(undefined),
});

/**
 * The items of a list, page by page. A link says where to go on and nothing else: it is never followed to another place,
 * and what was asked for stays, since addresses in links are often those that only the service knows. Links that go in a
 * circle are `WRONG_ANSWER`, and a list that the service cut off is `LIMIT_EXCEEDED`.
 */
export async function* readPages(
  what: string,
  collection: string,
  asked: URLSearchParams,
  read: (query: URLSearchParams) => Promise<unknown>,
): AsyncGenerator<unknown, void, undefined> {
  let query = asked;
  let remembered = query.toString();
  for (let page = 1; ; page += 1) {
    const body = BODY.safeParse(await read(query)).data;
    const items: unknown = body?.[collection];
    if (body === undefined || !Array.isArray(items)) {
      throw new FafnirError('WRONG_ANSWER', `${what}: the answer has no list ${collection}`);
    }
    yield* items;
    if (body.truncated === true) {
      throw new FafnirError('LIMIT_EXCEEDED', `${what}: the service cut the list off`, {
        hint: 'Ask for less, or let the operator raise the limit of lists.',
      });
    }
    const next = links.safeParse(body[`${collection}_links`]).data?.find(({ rel }) => rel === 'next')?.href;
    const link = next ?? body.links?.next ?? body.next;
    if (link === undefined || link === null) return;
    query = continued(asked, link);
    // One of the queries before is remembered, at ever longer intervals: any circle comes back to it.
    if (query.toString() === remembered) {
      throw new FafnirError('WRONG_ANSWER', `${what}: the pages go in a circle`);
    }
    if ((page & (page - 1)) === 0) remembered = query.toString();
  }
}

function continued(asked: URLSearchParams, link: string): URLSearchParams {
  const query = new URLSearchParams(link.includes('?') ? link.slice(link.indexOf('?') + 1) : '');
  for (const [name, value] of asked) if (name !== 'marker') query.set(name, value);
  return query;
}
