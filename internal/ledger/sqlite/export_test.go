package sqlite

// For tests of files that earlier versions wrote.
var Schema = schema

// StepsBeforeImages is how many steps of the schema there were before runners had images.
const StepsBeforeImages = 8

// StepsBeforeSearch is how many there were before jobs had the columns that filters look at.
var StepsBeforeSearch = len(schema) - 7
