export * from './failures.ts'
export * from './hybrid-noise.ts'
export * from './peer-memory.ts'
export * from './security.ts'
