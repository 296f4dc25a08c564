export * from './control.ts'
export * from './record.ts'
export * from './succession.ts'
export * from './types.ts'
