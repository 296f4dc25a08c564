export * from './digest.ts'
export * from './ed25519.ts'
export * from './random.ts'
