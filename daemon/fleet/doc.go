// Package fleet lets several servers act as one: the same address and the same token on the next node, limits per user, and
// kills, bans and drains on all of them. The nodes own the truth about their sessions; what they share is memory that they can
// rebuild.
package fleet
