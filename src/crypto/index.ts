export * from './digest.ts'
export * from './ed25519.ts'
export * from './handshake-crypto.ts'
export * from './random.ts'
