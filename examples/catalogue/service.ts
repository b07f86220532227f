// A catalogue that every process changes, in a heap that they share, and a notice in a heap that only the server writes.
import { list, map, method, nothing, ref, service, shared, sortedMap, struct, text, u32 } from 'rpcool'

export const Product = struct('Product', { name: text, cents: u32, tags: list(text) })

// What changes together lies in one shared(…): the products, and an index of them by price.
export const Root = struct('Root', {
  catalogue: shared(struct('Catalogue', { products: map(text, Product), byPrice: sortedMap([u32, text], text) })),
})

export const Notice = struct('Notice', { title: text, seen: u32 })

export const Shop = service('shop', {
  root: method(1, nothing, ref(Root)),
  notice: method(2, nothing, ref(Notice)),
})
