const MOST = 8;

/** What must appear in no message: services may repeat what they were sent. */
export class Secrets {
  #known: readonly string[] = [];

  /** Remembers a secret; of many, the last ones, since answers to requests made with the one before may still come. */
  add(secret: string): void {
    this.#known = [secret, ...this.#known.filter((known) => known !== secret)].slice(0, MOST);
  }

  /** The text without them. */
  hide(text: string): string {
    return this.#known.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), text);
  }
}
