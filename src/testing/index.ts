export * from './delivery-simulation.ts'
export * from './memory-store.ts'
export * from './seeded-random.ts'
export * from './simulator.ts'
