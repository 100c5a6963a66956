export * from './bank-suite.ts';
export * from './job-store-suite.ts';
export * from './key-provider-suite.ts';
export * from './lying-array.ts';
export * from './memory-keys.ts';
export * from './storage-array-suite.ts';
export * from './suite.ts';
export * from './weak-bank.ts';
