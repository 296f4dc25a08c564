/** The hidden word by which the scripts of shells ask: `synaptic-mesh __complete INDEX WORD…`. */
export const completeWord = '__complete'
