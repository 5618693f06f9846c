/* The Internet checksum as RFC 1071, 4.1 writes it: what a compiler makes of the obvious loop. */
#include <stddef.h>
#include <stdint.h>

static uint16_t checksum(const uint8_t *bytes, size_t length) {
  uint32_t sum = 0;
  const uint16_t *word = (const uint16_t *)bytes;
  for (; length > 1; length -= 2) sum += *word++;
  if (length > 0) sum += *(const uint8_t *)word;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* Sums the same bytes `count` times: the call from JavaScript is paid once. */
uint32_t checksum_repeat(uintptr_t address, size_t length, uint32_t count) {
  uint32_t last = 0;
  for (uint32_t done = 0; done < count; done++) {
    last = checksum((const uint8_t *)address, length);
    __asm__ volatile("" : : "r"(last) : "memory"); /* no run may be left out */
  }
  return last;
}
