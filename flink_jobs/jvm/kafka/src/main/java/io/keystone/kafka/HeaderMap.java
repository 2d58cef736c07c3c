package io.keystone.kafka;

import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Headers;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.StringData;

/** A record's headers in their order. A name that occurs twice is there twice, which Kafka allows and a hash map would lose. */
record HeaderMap(ArrayData keyArray, ArrayData valueArray) implements MapData {

    static HeaderMap of(Headers headers) {
        Header[] all = headers.toArray();
        Object[] names = new Object[all.length];
        Object[] values = new Object[all.length];
        for (int index = 0; index < all.length; index++) {
            names[index] = StringData.fromString(all[index].key());
            values[index] = all[index].value();
        }
        return new HeaderMap(new GenericArrayData(names), new GenericArrayData(values));
    }

    @Override
    public int size() {
        return keyArray.size();
    }
}
