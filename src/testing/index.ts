export { type NetworkConditions, SimulatedNetwork, Simulator } from './simulator.ts'
export { SeededRandom } from './seeded-random.ts'
export { createTestnet, type Testnet, type TestnetOptions } from './testnet.ts'
