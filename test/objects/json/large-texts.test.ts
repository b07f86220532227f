import { test } from 'node:test'
import { tryLargeTexts } from './large-texts.js'

// A hundred megabytes: npm run chaos.
test('texts of 32 MB in documents, and documents of 32 MB', () => {
  tryLargeTexts(32 << 20)
})
