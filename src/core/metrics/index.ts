export * from './catalogue.ts'
export * from './prometheus.ts'
export * from './registry.ts'
