import type { Provider } from '../../contracts/index.ts';
import { mapValues, pluginOf } from '../plugin.ts';
import { checkedArray } from './array.ts';
import { checkedExternal } from './external.ts';
import { checkedKeys } from './keys.ts';
import { checkedProtectable } from './protectable.ts';

const known = new WeakMap<Provider, Provider>();

/**
 * A provider whose plugins are not believed: every answer has the form that the contract says and fits what was asked,
 * or is `WRONG_ANSWER`, naming the plugin and what was wrong. The same one for the same provider.
 */
export function checkedProvider(provider: Provider): Provider {
  const checked = known.get(provider) ?? check(provider);
  known.set(provider, checked);
  return checked;
}

const check = (provider: Provider): Provider =>
  pluginOf<Provider>({
    name: provider.name,
    site: provider.site,
    protectables: mapValues(provider.protectables, checkedProtectable),
    arrays: mapValues(provider.arrays, checkedArray),
    copyStores: provider.copyStores && mapValues(provider.copyStores, checkedExternal),
    hooks: provider.hooks,
    probes: provider.probes,
    strategies: provider.strategies,
    bank: provider.bank,
    keys: checkedKeys(provider.keys),
    policy: provider.policy,
    tenantPolicy: provider.tenantPolicy,
  });
