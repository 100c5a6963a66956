import type { OpenStackBytes, OpenStackService, OpenStackTransfer } from '../../clients/openstack/index.ts';
import type { CallOptions } from '../../core/contracts/index.ts';
import { FafnirError } from '../../core/errors.ts';
import { missingContainer } from './errors.ts';

/** The part of a container that a bank has. */
export type Area = {
  /** The container's. */
  readonly name: string;
  /** Before each key; empty or ending in a slash. */
  readonly folder: string;
  /** The container and its cloud, for messages. */
  readonly where: string;
};

/** What is asked of an object, or without a key of the container itself. */
export type ContainerRequest = Omit<OpenStackTransfer, 'path'> & { readonly key?: string };

type Receive<Value> = (answer: OpenStackBytes) => Promise<Value>;

/** The way to a container; tells a missing one from a missing object. */
export class Container {
  readonly folder: string;
  readonly where: string;
  readonly #name: string;
  readonly #service: OpenStackService;

  constructor(service: OpenStackService, { name, folder, where }: Area) {
    this.#service = service;
    this.#name = name;
    this.folder = folder;
    this.where = where;
  }

  /** Sends a request that needs no object to be there: what is not found is the container. */
  async transfer<Value>(
    request: ContainerRequest,
    receive: Receive<Value>,
    call: CallOptions,
  ): Promise<Value> {
    try {
      return await this.#send(request, receive, call);
    } catch (error) {
      throw FafnirError.is(error, 'NOT_FOUND') ? missingContainer(this.where, error) : error;
    }
  }

  /** Sends a request of an object; undefined where there is none. */
  async ifThere<Value>(
    request: ContainerRequest,
    receive: Receive<Value>,
    call: CallOptions,
  ): Promise<Value | undefined> {
    try {
      return await this.#send(request, receive, call);
    } catch (error) {
      if (!FafnirError.is(error, 'NOT_FOUND')) throw error;
      await this.transfer({ method: 'HEAD' }, async () => undefined, call);
      return undefined;
    }
  }

  #send<Value>(
    { key, ...request }: ContainerRequest,
    receive: Receive<Value>,
    call: CallOptions,
  ): Promise<Value> {
    const below = key === undefined ? [] : (this.folder + key).split('/');
    return this.#service.transfer({ ...request, path: [this.#name, ...below] }, receive, call);
  }
}
