import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it came. */
export type Received = {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  /** Without the bucket. */
  readonly key: string;
};

/** Answers a request in place of the service, and says so with true. */
export type Fault = (received: Received, request: IncomingMessage, response: ServerResponse) => boolean;

const md5 = (body: Uint8Array, form: 'hex' | 'base64'): string => createHash('md5').update(body).digest(form);
const xml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Answers with an error as S3 gives it. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
  more = '',
): true {
  const body = `<Error><Code>${code}</Code><Message>the ${code} message</Message>${more}</Error>`;
  response.writeHead(status, { ...headers, 'content-type': 'application/xml' }).end(body);
  return true;
}

/** As much of S3 as the bank uses, with one bucket in memory, on a real socket. */
export class SmallS3 {
  readonly bucket = 'vault';
  readonly objects: Map<string, Buffer> = new Map();
  readonly uploads: Map<string, Map<number, Buffer>> = new Map();
  readonly received: Received[] = [];
  heedsConditions = true;
  pageSize = 1_000;
  fault: Fault = () => false;
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** The requests that came with a method, of one key where given. */
  count(method: string, key?: string): number {
    return this.received.filter((one) => one.method === method && (key === undefined || one.key === key))
      .length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers } = request;
    const url = new URL(request.url ?? '', 'http://service');
    const [, bucket, ...rest] = url.pathname.split('/');
    const received = { method, url, headers, key: decodeURIComponent(rest.join('/')) };
    this.received.push(received);
    if (this.fault(received, request, response)) return;
    if (bucket !== this.bucket) {
      refuse(response, 404, 'NoSuchBucket');
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (headers['content-md5'] !== undefined && headers['content-md5'] !== md5(body, 'base64')) {
      refuse(response, 400, 'BadDigest');
    } else if (url.searchParams.has('uploads') || url.searchParams.has('uploadId')) {
      this.#upload(received, body, response);
    } else if (method === 'PUT') {
      this.#put(received, body, response);
    } else if (method === 'POST') {
      this.#remove(body, response);
    } else if (received.key === '') {
      this.#list(received, response);
    } else {
      this.#get(received, response);
    }
  }

  #put({ key, headers }: Received, body: Buffer, response: ServerResponse): void {
    if (this.heedsConditions && headers['if-none-match'] === '*' && this.objects.has(key)) {
      refuse(response, 412, 'PreconditionFailed');
      return;
    }
    this.objects.set(key, body);
    response.writeHead(200, { etag: `"${md5(body, 'hex')}"` }).end();
  }

  #get({ method, key, headers }: Received, response: ServerResponse): void {
    const object = this.objects.get(key);
    const [, from = '', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    if (object === undefined) refuse(response, 404, 'NoSuchKey');
    else if (from === '') {
      response
        .writeHead(200, { 'content-length': object.length })
        .end(method === 'HEAD' ? undefined : object);
    } else if (Number(from) >= object.length) refuse(response, 416, 'InvalidRange');
    else {
      const part = object.subarray(Number(from), Number(to) + 1);
      const range = `bytes ${from}-${Number(from) + part.length - 1}/${object.length}`;
      response.writeHead(206, { 'content-length': part.length, 'content-range': range }).end(part);
    }
  }

  #list({ url }: Received, response: ServerResponse): void {
    const [prefix = '', after = ''] = ['prefix', 'start-after'].map(
      (name) => url.searchParams.get(name) ?? '',
    );
    const order = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right));
    const keys = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && order(key, after) > 0)
      .sort(order);
    const encoding = url.searchParams.get('encoding-type');
    const encode = (key: string) =>
      encoding === 'url' ? encodeURIComponent(key).replaceAll('%20', '+') : key;
    const contents = keys.slice(0, this.pageSize).map((key) => {
      const size = this.objects.get(key)?.length ?? 0;
      return `<Contents><Key>${xml(encode(key))}</Key><Size>${size}</Size></Contents>`;
    });
    const truncated = `<IsTruncated>${keys.length > this.pageSize}</IsTruncated>`;
    response.end(
      `<ListBucketResult>${encoding === null ? '' : `<EncodingType>${encoding}</EncodingType>`}${truncated}${contents.join('')}</ListBucketResult>`,
    );
  }

  #remove(body: Buffer, response: ServerResponse): void {
    const keys = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key ?? '');
    const kept = keys.filter((key) => key.includes('kept'));
    for (const key of keys) if (!kept.includes(key)) this.objects.delete(key);
    const errors = kept.map((key) => `<Error><Key>${key}</Key><Code>AccessDenied</Code></Error>`);
    response.end(`<DeleteResult>${errors.join('')}</DeleteResult>`);
  }

  #upload({ method, url, key }: Received, body: Buffer, response: ServerResponse): void {
    const id = url.searchParams.get('uploadId') ?? `upload-${this.received.length}`;
    const parts = this.uploads.get(id) ?? new Map<number, Buffer>();
    if (method === 'PUT') {
      parts.set(Number(url.searchParams.get('partNumber')), body);
      response.writeHead(200, { etag: `"${md5(body, 'hex')}"` }).end();
    } else if (method === 'DELETE') {
      this.uploads.delete(id);
      response.writeHead(204).end();
    } else if (url.searchParams.has('uploads')) {
      this.uploads.set(id, parts);
      response.end(
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      );
    } else {
      const numbers = [...parts.keys()].sort((left, right) => left - right);
      this.objects.set(key, Buffer.concat(numbers.flatMap((number) => parts.get(number) ?? [])));
      this.uploads.delete(id);
      response.end(
        '<CompleteMultipartUploadResult><ETag>"composite-1"</ETag></CompleteMultipartUploadResult>',
      );
    }
  }
}
