import { describe, it } from 'vitest';
import { local } from '../../src/providers/local.ts';
import { protectableSuite } from '../../src/testing/protectable-suite.ts';
import { registerSuite } from '../../src/testing/suite.ts';
import { SHOP, temporaryDirectory, writeShop } from '../core/engine/application.ts';

const IDS = { Application: SHOP[0].id, Network: 'back', Server: 'db', Volume: 'db-data' };

for (const [kind, id] of Object.entries(IDS)) {
  const type = `Local::${kind}`;
  const suite = await protectableSuite({
    name: type,
    async create() {
      const directory = await temporaryDirectory();
      await writeShop(directory.path);
      const plugins = local({ root: directory.path }).protectables ?? [];
      const protectable = plugins.find((one) => one.type === type);
      if (protectable === undefined) throw new Error(`there is no plugin for ${type}`);
      return {
        protectable,
        resource: { type, id },
        dispose: async () => await directory[Symbol.asyncDispose](),
      };
    },
  });
  registerSuite(suite, { describe, it });
}
