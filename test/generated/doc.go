// Package generated runs what installers and appliances write (testdata, one folder per generator) with the command lines of their own
// units and their own way to reload, in four pairings with the stock daemon: a tunnel comes up, and addresses, routes, script
// environment and status are those of the stock pair. Differences are only those of a table, each with its reason, and a
// difference of the table that is not there any more fails the whole run.
package generated
