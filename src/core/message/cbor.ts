export * from '../base/cbor.ts'
