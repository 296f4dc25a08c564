/** The receiving end, in a thread of its own: each message of the parent is how many bytes will come; the answer is what they cost in ms of CPU. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Contestant, listen } from './ends.ts'

const { port, receiver } = await listen(workerData as Contestant)
parentPort?.postMessage(port)
const end = await receiver

async function answer(bytes: number): Promise<void> {
  const before = process.threadCpuUsage()
  await end.receive(bytes)
  const { user, system } = process.threadCpuUsage(before)
  parentPort?.postMessage((user + system) / 1_000)
}

parentPort?.on('message', (bytes: number) => void answer(bytes))
