/** A value that survives `JSON.parse(JSON.stringify(value))`. Journaled records are type aliases, not interfaces. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. */
export type JsonObject = { readonly [name: string]: Json | undefined };
