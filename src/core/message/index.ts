export * from './types.ts'
export * from './store-port.ts'
