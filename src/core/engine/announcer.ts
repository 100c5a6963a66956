import { EventEmitter } from 'eventemitter3';
import type { JsonObject, Observer } from '../contracts/index.ts';
import type { EngineEvent, EventOf } from '../events.ts';

type Listeners = { [Type in EngineEvent['type']]: [event: EventOf<Type>] };

/** Tells listeners and the observer what happens. Nothing that they do or throw reaches the engine. */
export class Announcer {
  readonly #emitter = new EventEmitter<Listeners>();
  readonly #observer: Observer;

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** Tells everybody. */
  emit(event: EngineEvent): void {
    const { type, ...message } = event;
    shielded(() => this.#observer.publish(type, message satisfies JsonObject));
    for (const listener of this.#emitter.listeners(type)) shielded(() => listener(event as never));
  }

  /** Adds a listener; what is returned takes it away again. */
  on<Type extends EngineEvent['type']>(type: Type, listener: (event: EventOf<Type>) => void): () => void {
    // A function of its own for each registration, so that ending one does not end another.
    const added = (event: EventOf<Type>): void => listener(event);
    this.#emitter.on(type, added as never);
    return () => this.#emitter.off(type, added as never);
  }
}

function shielded(tell: () => unknown): void {
  try {
    Promise.resolve(tell()).catch(warn);
  } catch (error) {
    warn(error);
  }
}

// Reported without stopping anything: it is the listener's fault, and the listener's loss.
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : 'a listener failed', 'FafnirListenerWarning');
}
