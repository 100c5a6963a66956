/** Every member of a contract, so that none can be forgotten; undefined for a role that the plugin has not. */
export type Members<Plugin> = { readonly [Name in keyof Required<Plugin>]: Plugin[Name] };

/** The members as a frozen plugin, on which a role that is missing is missing. */
export const pluginOf = <Plugin extends object>(members: Members<Plugin>): Plugin =>
  Object.freeze(
    Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined)),
  ) as Plugin;

/** The values of a map, changed. */
export const mapValues = <Value>(
  map: ReadonlyMap<string, Value>,
  change: (value: Value) => Value,
): ReadonlyMap<string, Value> => new Map([...map].map(([name, value]) => [name, change(value)]));
